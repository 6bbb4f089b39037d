"""A server that asks for no login is warned of where other people have accounts."""

import http.server
import os
import pwd
import threading

import pytest

from raysweep.tracking.open_server import open_to_others


def account(name, uid, shell="/bin/bash"):
    return pwd.struct_passwd((name, "x", uid, uid, "", f"/home/{name}", shell))


ME = account("me", os.getuid())
PEOPLE = [
    ME,
    account("ada", 1001),
    account("daemon", 1),
    account("nobody", 65534),
    account("bot", 1002, "/sbin/nologin"),
]


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with 200, or with 401 to whoever has not logged in."""

    login = False

    def do_GET(self):
        self.send_response(401 if self.login and "Authorization" not in self.headers else 200)
        self.end_headers()

    def log_message(self, *words):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(Server, "login", False)
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_other_people_are_named(server, monkeypatch):
    monkeypatch.setattr(pwd, "getpwall", lambda: PEOPLE)
    said = open_to_others(server)
    assert said.startswith(f"MLflow at {server} asks for no login: other accounts of this machine (ada) can read")
    assert "basic-auth" in said


def test_nothing_is_said_where_nobody_else_is(server, monkeypatch):
    monkeypatch.setattr(pwd, "getpwall", lambda: [one for one in PEOPLE if one.pw_name != "ada"])
    assert open_to_others(server) == ""


def test_nothing_is_said_of_a_server_with_a_login_whoever_we_are(server, monkeypatch):
    monkeypatch.setattr(pwd, "getpwall", lambda: PEOPLE)
    monkeypatch.setattr(Server, "login", True)
    assert open_to_others(server.replace("://", "://me:password@")) == ""


@pytest.mark.parametrize(
    "uri", ["sqlite:///mlflow.db", "http://127.0.0.1:1", "https://mlflow.example.org", "databricks"]
)
def test_nothing_is_said_of_other_places(uri, monkeypatch):
    monkeypatch.setattr(pwd, "getpwall", lambda: PEOPLE)
    assert open_to_others(uri) == ""
