"""Two users run two clouds side by side on one machine: each works, and neither reaches the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cloud_fixtures import running_cloud
from state_cases import open_to_others
from waiting import until

from spaceport.local.access import Access
from spaceport.local.address import ADDRESS, attach

NOBODY = 65534
AS_NOBODY: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
ENTERS = "import sys; from pathlib import Path; from spaceport.local.address import attach; " + (
    "print(attach(Path(sys.argv[1])), *Path(sys.argv[1]).glob('*'))"
)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_two_users_run_two_clouds_side_by_side(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "theirs/numba"), "HOME": str(tmp_path / "theirs")}
    open_to_others(tmp_path)
    (tmp_path / "theirs").mkdir(0o700)
    os.chown(tmp_path / "theirs", NOBODY, NOBODY)
    command = [sys.executable, "-m", "spaceport"]
    try:
        subprocess.run([*command, "--help"], capture_output=True, check=True, env=environment, **AS_NOBODY)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs an interpreter that other users may run")
    their_state = tmp_path / "theirs/state"
    up = [*command, "up", "--state", str(their_state)]
    with (
        (tmp_path / "shown").open("wb") as shown,
        running_cloud(tmp_path / "state") as ours,
        subprocess.Popen(up, stdout=shown, stderr=shown, env=environment, **AS_NOBODY) as theirs,
    ):
        try:
            until(lambda: attach(their_state) or theirs.poll() is not None)
            cloud = attach(their_state)
            assert cloud, (tmp_path / "shown").read_text()
            assert (their_state / ADDRESS).stat().st_uid == NOBODY
            client = cloud.access.client("s3")
            client.create_bucket(Bucket="theirs-alone")
            s3: Any = ours.deployment.bucket.client
            assert "theirs-alone" not in str(s3.list_buckets()["Buckets"])
            for secret, endpoint in (
                (ours.embedded.access.secret, cloud.access.endpoint),
                (cloud.access.secret, ours.embedded.access.endpoint),
            ):
                with pytest.raises(ClientError, match=r"403|owner"):
                    Access(endpoint, "", secret).client("s3").list_buckets()
            seen = [sys.executable, "-c", ENTERS, str(tmp_path / "state")]
            assert subprocess.check_output(seen, text=True, env=environment, **AS_NOBODY) == "None\n"
            cloud.close()
        finally:
            theirs.terminate()
        assert theirs.wait(60) == 0, (tmp_path / "shown").read_text()
        s3.list_buckets()  # ours goes on
