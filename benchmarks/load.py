"""What the embedded cloud costs under load: sixty uploads at once, and one large object.

    python benchmarks/load.py [--uploads 60] [--megabytes 400]

`spaceport up` runs as a process of its own. Memory is the PSS of its whole tree (the cloud, ministack, the functions'
workers, Batch jobs), ten times a second; that of a large object is ministack's alone, over what it had before. The
uploads are a mixture: most are refused by intake, one in ten has photos that structure from motion refuses. There is no
peer to run beside it; the goals are in the table.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from PIL import Image

from spaceport.cli.connect import deployment_of
from spaceport.cli.deployment import Deployment
from spaceport.local.access import Access
from spaceport.local.address import running
from spaceport.local.mailbox import mails
from spaceport.local.ministack import descendants
from spaceport.pipeline.jobs.state import END_STATES

PATIENCE = 900.0
MAIL = "pilot@example.com"
SECOND = 0.1
REPEATS = 20
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=60, help="uploads at once; 0 leaves them out (default: 60)")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds for all of them (default: 900)")
    parser.add_argument("--megabytes", type=int, default=400, help="MiB of the large object; 0: none (default: 400)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        with _up(Path(scratch) / "state") as (access, pid):
            if arguments.uploads:
                _latency(access)
                _many(access, pid, arguments.uploads, arguments.patience)
        if arguments.megabytes:
            with _up(Path(scratch) / "state") as (access, pid):
                _large(access, pid, Path(scratch) / "large", arguments.megabytes * MIB)


@contextmanager
def _up(state: Path) -> Iterator[tuple[Access, int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "spaceport", "up", "--state", str(state)], stdout=subprocess.DEVNULL
    )
    try:
        _until(lambda: running(state) is not None)
        access = running(state)
        assert access is not None
        yield access, process.pid
    finally:
        process.terminate()
        process.wait()


class Peak:
    """The largest PSS of some processes together while the block runs, in bytes, and the most workers of functions."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.first = self.most = self.workers = 0

    def __enter__(self) -> Peak:
        self.first = self.most = _pss(self._pids())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(SECOND):
            pids = self._pids()
            self.most = max(self.most, _pss(pids))
            self.workers = max(self.workers, sum("_worker.py" in _command(pid) for pid in pids))


def _pss(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return total


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _latency(access: Access) -> None:
    """From a put to the manifest that intake writes, warm, with nothing else at work."""
    cloud = deployment_of(access)
    seconds = []
    for number in range(REPEATS):
        job = f"latency-{number}"
        began = time.monotonic()
        _put(cloud, f"uploads/{job}.zip", b"not a zip", job)
        key = f"jobs/{job}/end/manifest.json"
        _until(lambda key=key: cloud.bucket.exists(key), 0.002)  # type: ignore[misc]
        seconds.append(time.monotonic() - began)
        _until(lambda number=number: len(mails(access)) > number)  # type: ignore[misc]
    warm = sorted(seconds[1:])
    print(f"put to intake's manifest, warm, of {len(warm)}: median {statistics.median(warm) * 1e3:.0f} ms,", end=" ")
    print(f"best {warm[0] * 1e3:.0f} ms, worst {warm[-1] * 1e3:.0f} ms; cold {seconds[0] * 1e3:.0f} ms", flush=True)


def _many(access: Access, pid: int, count: int, patience: float) -> None:
    cloud = deployment_of(access)
    mailed = len(mails(access))
    uploads = _mixture(count)
    jobs = {f"load-job-{number:04}" for number in range(count)}
    ended: dict[str, float] = {}
    with Peak(lambda: descendants(pid)) as peak, ThreadPoolExecutor(16) as pool:
        began = time.monotonic()
        for number, (name, data) in enumerate(uploads):
            pool.submit(_put, cloud, f"uploads/{number}-{name}", data, f"load-job-{number:04}")

        while len(ended) < count or len(mails(access)) - mailed < count:
            for job in jobs - set(ended):
                if time.monotonic() - began < patience and _ended(cloud, job):
                    ended[job] = time.monotonic() - began
            if time.monotonic() - began > patience:
                pool.shutdown(wait=False, cancel_futures=True)
                break
            time.sleep(0.2)
        took = time.monotonic() - began
        print(
            f"{count} uploads at once: after {took:.1f} s {len(ended)} ends, at most {peak.most >> 20} MiB", flush=True
        )
    seconds = [*sorted(ended.values()), *[float("inf")] * (count - len(ended))]
    print(f"  {len(mails(access)) - mailed} mails")
    print(f"  half of the ends after {seconds[count // 2 - 1]:.1f} s (goal 60), all after {seconds[-1]:.1f} s")
    print(f"  memory: {peak.first >> 20} MiB idle, {peak.most >> 20} MiB at most (goal 1,024),", end=" ")
    print(f"at most {peak.workers} workers of functions", flush=True)


def _mixture(count: int) -> list[tuple[str, bytes]]:
    """Names and bytes of uploads, repeated until there are so many."""
    photos = [f"{number}.jpg" for number in range(8)]
    kinds = [
        ("photos.zip", _zip(*photos, data=_photo())),
        ("not-a.zip", b"GIF89a, not a zip at all"),
        ("empty.zip", b""),
        ("no-entries.zip", _zip()),
        ("no-images.Zip", _zip("readme.txt")),
        ("dots.zip", _zip(*photos, "../evil.jpg")),
        ("bomb.zip", _zip(*photos, data=bytes(8 << 20))),
        ("options.zip", _zip(*photos, **{"spaceport.json": b'{"options": [1]}'})),
        ("entries.zip", _zip(*(f"{number}.jpg" for number in range(10_001)))),
        ("two.ZIP", _zip(*photos[:2])),
    ]
    return [kinds[number % len(kinds)] for number in range(count)]


def _zip(*names: str, data: bytes = b"\xff\xd8\xff\xe0", **more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in {**dict.fromkeys(names, data), **more}.items():
            archive.writestr(name, entry)
    return file.getvalue()


def _photo() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 60)).save(file, "JPEG")
    return file.getvalue()


def _put(cloud: Deployment, key: str, data: bytes, job: str) -> None:
    metadata = {"job-id": job, "email": MAIL, "options": json.dumps({"preset": "draft"})}
    cloud.uploads.client.put_object(Bucket=cloud.uploads.name, Key=key, Body=data, Metadata=metadata)


def _ended(cloud: Deployment, job: str) -> bool:
    row = cloud.table.get(job)
    return row is not None and row.state in END_STATES


def _large(access: Access, pid: int, path: Path, size: int) -> None:
    """One object up and down in each way. Its key is no upload's, so no function reads it."""
    cloud = deployment_of(access)
    signer = access.session.client("s3", endpoint_url=access.endpoint, config=Config(signature_version="s3v4"))
    with path.open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(MIB))
    (server,) = [each for each in descendants(pid) if "spaceport.local.serve" in _command(each)][-1:]
    ways: dict[str, Callable[[], None]] = {
        "single PUT": lambda: _single_put(signer, cloud.uploads.name, path),
        "POST form": lambda: _form(signer, cloud.uploads.name, path),
        "multipart, parts of 8 MiB": lambda: _multipart(cloud, path),
        "GET": lambda: _get(cloud, path, TransferConfig(multipart_threshold=size + 1)),
        "GET, ranges of 8 MiB": lambda: _get(cloud, path, TransferConfig()),
    }
    print(f"{'an object of ' + str(size >> 20) + ' MiB':28} {'over idle':>10} {'kept':>8} {'seconds':>8}")
    for name, way in ways.items():
        with Peak(lambda: [server]) as peak:
            began = time.monotonic()
            way()
            took = time.monotonic() - began
        kept = _pss([server]) - peak.first
        print(f"{name:28} {peak.most - peak.first >> 20:>6} MiB {kept >> 20:>4} MiB {took:>8.1f}", flush=True)


def _single_put(signer: Any, bucket: str, path: Path) -> None:
    url = signer.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "large/put"})
    with path.open("rb") as file:
        _send("PUT", url, file, path.stat().st_size, {})


def _form(signer: Any, bucket: str, path: Path) -> None:
    form = signer.generate_presigned_post(bucket, "large/form")
    boundary = base64.b16encode(os.urandom(16)).decode()
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form["fields"].items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'
    tail = f"\r\n--{boundary}--\r\n"

    def body() -> Iterator[bytes]:
        yield head.encode()
        with path.open("rb") as file:
            while chunk := file.read(MIB):
                yield chunk
        yield tail.encode()

    content_type = f"multipart/form-data; boundary={boundary}"
    _send("POST", form["url"], body(), len(head) + path.stat().st_size + len(tail), {"Content-Type": content_type})


def _send(method: str, url: str, body: Any, size: int, headers: dict[str, str]) -> None:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection.request(method, target, body, headers | {"Content-Length": str(size)})
    response = connection.getresponse()
    if response.status >= 300:
        raise RuntimeError(f"{method}: {response.status} {response.read()[:500]!r}")
    response.read()
    connection.close()


def _multipart(cloud: Deployment, path: Path) -> None:
    cloud.uploads.client.upload_file(str(path), cloud.uploads.name, "large/multipart", Config=TransferConfig())


def _get(cloud: Deployment, path: Path, config: TransferConfig) -> None:
    copy = path.with_name("copy")
    cloud.uploads.client.download_file(cloud.uploads.name, "large/multipart", str(copy), Config=config)
    same = subprocess.run(["cmp", str(path), str(copy)], check=False)
    assert same.returncode == 0, "it came back as something else"
    copy.unlink()


def _until(holds: Callable[[], bool], pause: float = 0.1) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:.0f} seconds")
        time.sleep(pause)


if __name__ == "__main__":
    main()
