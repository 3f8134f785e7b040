"""Pins the base images of the Dockerfiles by digest: `make bases`, where their registry can be reached.

Every `FROM name:tag` becomes `FROM name:tag@sha256:…`, with what the tag means today; run again, it renews the digest.
A digest names the same bytes for ever, so the next build takes what was reviewed, whatever was pushed under the tag
since. It is that of the list of platforms. All or none: the files change after every tag is known.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
FROM = re.compile(
    r"^FROM (?P<mirror>\$\{REGISTRY\})?(?P<name>[a-z0-9./_-]+):(?P<tag>[\w.-]+)"
    r"(?P<digest>@sha256:[0-9a-f]{64})?(?P<rest>.*)$",
    re.M,
)
"""A stage that begins with one of ours, like `FROM environment`, has no tag."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
REGISTRY, TOKENS = "https://registry-1.docker.io", "https://auth.docker.io/token?service=registry.docker.io"
LISTS = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
SECONDS = 15


def main() -> int:
    """Pin. Returns the exit code: 1, and nothing changed, when a tag cannot be looked up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dockerfiles", nargs="*", type=Path, default=sorted(ROOT.glob("services/*/Dockerfile")))
    parser.add_argument("--registry", default=REGISTRY)
    parser.add_argument("--tokens", default=TOKENS, help="where the registry's tokens for reading are given out")
    arguments = parser.parse_args()
    texts = {path: path.read_text() for path in arguments.dockerfiles}
    images = sorted({(match["name"], match["tag"]) for text in texts.values() for match in FROM.finditer(text)})
    try:
        digests = {image: look_up(*image, arguments.registry, arguments.tokens) for image in images}
    except (OSError, ValueError, KeyError) as error:
        print(f"bases: nothing changed, because the registry did not say what the tags mean: {error}")
        return 1
    for path, text in texts.items():
        path.write_text(pin(text, digests))
    for (name, tag), digest in digests.items():
        print(f"bases: {name}:{tag} is {digest}")
    return 0


def pin(text: str, digests: dict[tuple[str, str], str]) -> str:
    """A Dockerfile with the digest behind each tag."""

    def pinned(line: re.Match[str]) -> str:
        digest = digests[line["name"], line["tag"]]
        return f"FROM {line['mirror'] or ''}{line['name']}:{line['tag']}@{digest}{line['rest']}"

    return FROM.sub(pinned, text)


def look_up(name: str, tag: str, registry: str, tokens: str) -> str:
    """The digest that a tag of Docker Hub means now. Raises `OSError`, `ValueError` or `KeyError` if nobody says."""
    repository = name if "/" in name else f"library/{name}"
    separator = "&" if "?" in tokens else "?"
    with urllib.request.urlopen(  # noqa: S310  who runs us names it
        f"{tokens}{separator}scope={quote(f'repository:{repository}:pull')}", timeout=SECONDS
    ) as response:
        token = json.load(response)["token"]
    request = urllib.request.Request(  # noqa: S310
        f"{registry}/v2/{repository}/manifests/{tag}",
        headers={"Accept": LISTS, "Authorization": f"Bearer {token}"},
        method="HEAD",
    )
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
        digest = str(response.headers["Docker-Content-Digest"])
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"{name}:{tag} has no digest but {digest!r}")
    return digest


if __name__ == "__main__":
    sys.exit(main())
