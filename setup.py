"""What a wheel needs beyond pyproject.toml: it carries the template, and none is built without the page."""

from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

PAGE = Path("spaceport/web/static/index.html")


class BuildPython(build_py):
    """The template beside the code that deploys it; in a checkout it stays where everybody looks for it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            self.copy_file("template.yaml", str(Path(self.build_lib, "spaceport", "template.yaml")))


class Wheel(bdist_wheel):
    def run(self) -> None:
        if not PAGE.is_file():
            raise SystemExit("A wheel carries the page, and it is not built: run `make web` first, or `make wheel`.")
        super().run()


setup(cmdclass={"build_py": BuildPython, "bdist_wheel": Wheel})
