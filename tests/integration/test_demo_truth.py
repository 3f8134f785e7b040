"""COLMAP finds the demo survey's true cameras from its photos alone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from surveys import shared_survey

from spaceport.demo import load_truth
from spaceport.demo.align import align

pytest.importorskip("pycolmap", reason="structure from motion is not installed")

# In a child process, since COLMAP may end the process it runs in.
_COLMAP = """
import sys
from pathlib import Path
import pycolmap
folder = Path(sys.argv[1])
database, photos = folder / "database.db", folder / "photos"
pycolmap.set_random_seed(0)
extraction = pycolmap.FeatureExtractionOptions()
extraction.sift.first_octave = 0
extraction.sift.max_num_features = 8192
pycolmap.extract_features(database, photos, camera_mode=pycolmap.CameraMode.SINGLE, extraction_options=extraction)
pycolmap.match_exhaustive(database)
options = pycolmap.IncrementalPipelineOptions()
options.min_model_size = 3
models = pycolmap.incremental_mapping(database, photos, folder, options=options)
best = max(models.values(), key=lambda model: model.num_reg_images())
(folder / "model").mkdir()
best.write_binary(folder / "model")
"""


def test_colmap_finds_the_true_cameras(tmp_path: Path) -> None:
    import pycolmap  # noqa: PLC0415 - only once we know that it is there

    survey = shared_survey(12, 512, 384)
    truth = load_truth(survey.truth_path)
    with zipfile.ZipFile(survey.zip_path) as archive:
        archive.extractall(tmp_path)
    prior = pycolmap.infer_camera_from_image(tmp_path / "photos" / truth.cameras[0].name)
    assert prior.has_prior_focal_length
    assert prior.mean_focal_length() == pytest.approx(truth.cameras[0].fx, rel=0.02)

    subprocess.run([sys.executable, "-c", _COLMAP, str(tmp_path)], check=True, timeout=300, capture_output=True)
    model = pycolmap.Reconstruction(tmp_path / "model")
    centres = {image.name: image.projection_center() for image in model.images.values() if image.has_pose}
    assert sorted(centres) == sorted(camera.name for camera in truth.cameras)
    result = align(np.array([centres[camera.name] for camera in truth.cameras]), truth.centres)
    assert result.residuals.max() < 0.005 * truth.scene_size
    assert model.compute_mean_reprojection_error() < 0.5
