"""Bills of materials in CycloneDX 1.6 for the images and the functions: `make sbom`.

    python requirements/sbom.py build/sbom                                   # what the locks pin, with pip's hashes
    python requirements/sbom.py build/sbom --inventory sfm=packages.txt …    # all that an image has

An image has its inventory at /usr/share/spaceport/packages.txt, written when it was built, with Debian's packages and
all that pip has there. Only there it says what torch has brought along. Runs in the environment of
requirements/audit.txt; each file is checked against CycloneDX's schema before it is written.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
LOCKS = {
    **{image: ROOT / "requirements" / f"{image}.txt" for image in ("sfm", "train", "compress")},
    "functions": ROOT / "functions" / "requirements.txt",
}
IMAGE = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix"} | {
    "python_version": "3.11",
    "python_full_version": "3.11.14",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
"""What the markers of a lock are held against."""
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
Locked = dict[str, tuple[str, list[str]]]
"""Package to its version and the hashes of its archives."""


def main() -> int:
    """Write PART.cdx.json for each image and for the functions. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder, created if missing")
    parser.add_argument("--inventory", nargs="+", default=[], metavar="PART=FILE", help="packages.txt of an image")
    arguments = parser.parse_args()
    inventories = dict(each.split("=", 1) for each in arguments.inventory)
    if not inventories.keys() <= LOCKS.keys():
        parser.error(f"there are only {', '.join(LOCKS)}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for part, lock in LOCKS.items():
        text = _bill(part, list(_components(read_lock(lock), inventories.get(part))))
        error = validator.validate_str(text)
        if error:
            raise ValueError(f"{part}: not valid CycloneDX: {error}")
        (arguments.output / f"{part}.cdx.json").write_text(text)
    return 0


def _components(locked: Locked, inventory: str | None) -> Iterator[Component]:
    if inventory:
        yield from _installed(Path(inventory).read_text().splitlines(), locked)
        return
    for name, (version, _) in locked.items():
        yield _python_package(name, version, locked)


def read_lock(path: Path) -> Locked:
    """What a lock installs in an image."""
    entries = re.split(r"\n(?=\w)", path.read_text().replace("\\\n", " "))[1:]
    locked: Locked = {}
    for entry in entries:
        requirement = Requirement(re.split(r" +--hash| +#", entry)[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(IMAGE):
            (pin,) = requirement.specifier
            locked[requirement.name] = (pin.version, HASH.findall(entry))
    return locked


def _installed(lines: Iterable[str], locked: Locked) -> Iterator[Component]:
    """Components of an inventory: tab-separated lines of dpkg-query, and those of `pip list --format freeze`."""
    for line in lines:
        if line.startswith("deb\t"):
            _, system, release, name, version, architecture = line.split("\t")
            qualifiers = {"arch": architecture, "distro": f"{system}-{release}"}
            yield _component(name, version, PackageURL("deb", system, name, version, qualifiers))
        elif "==" in line:
            name, version = line.strip().split("==")
            yield _python_package(name, version, locked)


def _python_package(name: str, version: str, locked: Locked) -> Component:
    pinned, hashes = locked.get(name, ("", []))
    component = _component(name, version, PackageURL("pypi", None, name, version))
    if version == pinned:
        component.external_references.add(
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(f"https://pypi.org/simple/{name}/"),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
            )
        )
    return component


def _component(name: str, version: str, purl: PackageURL) -> Component:
    return Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl))


def _bill(part: str, components: list[Component]) -> str:
    version = re.findall(r'__version__ = "(.+)"', (ROOT / "spaceport" / "__init__.py").read_text())[0]
    kind = ComponentType.APPLICATION if part == "functions" else ComponentType.CONTAINER
    bom = Bom(components=components)
    bom.metadata.component = Component(name=f"spaceport-{part}", version=version, type=kind, bom_ref=part)
    bom.register_dependency(bom.metadata.component, components)
    return str(JsonV1Dot6(bom).output_as_string(indent=2))


if __name__ == "__main__":
    sys.exit(main())
