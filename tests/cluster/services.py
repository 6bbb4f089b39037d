"""The machine beside the cluster: an S3 server behind a proxy that can refuse or delay, and PostgreSQL."""

from __future__ import annotations

import time

from tests.cluster.hosts import PROJECT, Hosts, HostsError

NAME, ADDRESS = "services", "10.77.0.20"
BUCKET = "raysweep"
ENDPOINT = f"http://{ADDRESS}:9000"
SECRET = "a-secret-of-the-bucket-4711"
DATABASE_PASSWORD = "a-password-of-the-database-0815"
AWS = {
    "~/.aws/config": f"[default]\nregion = us-east-1\nendpoint_url = {ENDPOINT}\n",
    "~/.aws/credentials": f"[default]\naws_access_key_id = user-of-the-bucket\naws_secret_access_key = {SECRET}\n",
}
DATABASE = f"postgresql+psycopg://raysweep@{ADDRESS}/mlflow"
PGPASS = f"{ADDRESS}:5432:*:raysweep:{DATABASE_PASSWORD}\n"
SERVER = """set -e
cluster=$(pg_lsclusters -h | head -n 1); version=$(echo $cluster | cut -d' ' -f1); name=$(echo $cluster | cut -d' ' -f2)
echo "listen_addresses = '*'" >> /etc/postgresql/$version/$name/postgresql.conf
echo "host all raysweep 10.77.0.0/24 scram-sha-256" >> /etc/postgresql/$version/$name/pg_hba.conf
mkdir -p /run/postgresql; chown postgres: /run/postgresql
pg_ctlcluster $version $name start
su postgres -c "psql -qc \\"create role raysweep login password '%s'\\"; createdb -O raysweep mlflow"
"""


def start(hosts: Hosts) -> None:
    """The machine with its three servers, and an empty bucket."""
    hosts.start(NAME, ADDRESS)
    hosts.run(NAME, SERVER % DATABASE_PASSWORD, "root")
    for path, text in AWS.items():
        hosts.write(NAME, path, text)
    _background(hosts, "~/raysweep-venv/bin/moto_server -H 127.0.0.1 -p 9001", "moto.log")
    _background(
        hosts, f"~/raysweep-venv/bin/python {PROJECT}/tests/cluster/proxy.py {ADDRESS} 9000 9001 ~/fault", "proxy.log"
    )
    make = f"import boto3; boto3.client('s3', endpoint_url='{ENDPOINT}').create_bucket(Bucket='{BUCKET}')"
    end = time.monotonic() + 60
    while True:
        try:
            hosts.run(NAME, f'~/raysweep-venv/bin/python -c "{make}"')
            return
        except HostsError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def fault(hosts: Hosts, kind: str = "") -> None:
    """What the proxy does from now on: "503" refuses, "slow" waits 2 s before each answer, "" nothing."""
    hosts.write(NAME, "~/fault", kind)


def restart_database(hosts: Hosts) -> None:
    hosts.run(NAME, "pg_ctlcluster -m immediate $(pg_lsclusters -h | awk '{print $1, $2}') restart", "root")


def _background(hosts: Hosts, command: str, log: str) -> None:
    hosts.run(NAME, f"setsid nohup {command} < /dev/null > ~/{log} 2>&1 &")
