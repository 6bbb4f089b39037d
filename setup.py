"""Everything is said in pyproject.toml, but for one thing: a wheel carries the studies inside the package."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

STUDIES = "search_spaces"


class BuildWithStudies(build_py):  # type: ignore[misc]
    """`search_spaces/` lies at the top of the repository; a wheel has it as `raysweep/search_spaces/`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # finds them where they are
            return
        target = Path(self.build_lib) / "raysweep" / STUDIES
        self.mkpath(str(target))
        for stale in target.glob("*.py"):
            stale.unlink()
        for file in sorted(Path(STUDIES).glob("*.py")):
            self.copy_file(str(file), str(target / file.name))


setup(cmdclass={"build_py": BuildWithStudies})
