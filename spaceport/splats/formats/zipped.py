"""A model within a zip: a SOG or a streamed one in a folder, as people zip them, or a single file of another format."""

from __future__ import annotations

import errno
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from spaceport.splats.formats.limits import UNBUNDLED, BrokenFile, budget_of
from spaceport.splats.sog.codec.errors import DAMAGED_ZIP, DAMAGED_ZIP_LIST

MAX_ENTRIES = 100_000
METAS = ("lod-meta.json", "meta.json")
SINGLE = (".ply", ".spz", ".splat", ".glb", ".gltf", ".sog")


def is_bundle(path: Path) -> bool:
    """Whether a zip is a bundled SOG, as viewers take it: meta.json at its root, and no comment."""
    try:
        with zipfile.ZipFile(path) as bundle:
            names = bundle.namelist()
            return not bundle.comment and "meta.json" in names and "lod-meta.json" not in names
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return True  # whatever is wrong with it, the reader of bundles says it


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The model in a zip as a file or a folder of its own, for as long as the block lasts.

    Raises:
        BrokenFile: it holds no model or several, is damaged, or unpacks to more than reading it may need of memory.
    """
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        try:
            with zipfile.ZipFile(path) as bundle:
                model = _unpack_model(bundle, Path(folder), budget_of(path))
        except (*DAMAGED_ZIP, *DAMAGED_ZIP_LIST) as error:
            raise BrokenFile("The zip is damaged, encrypted, or packed by a method that is not read here.") from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # of an offset that no file has
                raise
            raise BrokenFile("The zip is damaged: a file in it begins nowhere.") from error
        yield model


def _unpack_model(bundle: zipfile.ZipFile, folder: Path, budget: int) -> Path:
    infos = {info.filename: info for info in bundle.infolist() if not info.is_dir()}
    if len(infos) > MAX_ENTRIES:
        raise BrokenFile(f"The zip holds {len(infos)} files, far more than a model needs.")
    name = _model(list(infos))
    if name is None:
        raise BrokenFile("The zip holds no model: no meta.json, lod-meta.json, PLY, SPZ, splat or glTF.")
    wanted = _belonging(name, list(infos))
    if sum(infos[each].file_size for each in wanted) > budget:
        raise BrokenFile("The zip unpacks to more than the memory limit allows.")
    for each, target in wanted.items():
        _unpack(bundle, infos[each], folder / target)
    return folder / wanted[name]


def _model(names: list[str]) -> str | None:
    """The file that stands for the model: the outermost meta.json, or the only file of another format.

    Raises:
        BrokenFile: there are several.
    """
    for meta in METAS:
        metas = sorted((n for n in names if PurePosixPath(n).name == meta and _is_ours(n)), key=lambda n: n.count("/"))
        if metas and (len(metas) == 1 or meta == METAS[0] or metas[0].count("/") < metas[1].count("/")):
            return metas[0]
        if metas:
            raise BrokenFile(f"The zip holds {len(metas)} models. Zip one at a time.")
    single = [name for name in names if name.lower().endswith(SINGLE) and _is_ours(name)]
    if len(single) > 1:
        raise BrokenFile(f"The zip holds {len(single)} models. Zip one at a time.")
    return single[0] if single else None


def _is_ours(name: str) -> bool:
    """Not what macOS adds to every zip, nor a path that leaves its folder."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] not in ("__MACOSX", "/") and ".." not in parts and not parts[-1].startswith("._")


def _belonging(model: str, names: list[str]) -> dict[str, str]:
    """The names of a model's files, and where each goes below a folder: all of its own folder for a set."""
    path = PurePosixPath(model)
    if path.name not in METAS:
        return {model: f"model{path.suffix.lower()}"}
    root = path.parent
    inside = [PurePosixPath(name) for name in names if _is_ours(name) and PurePosixPath(name).suffix in UNBUNDLED]
    return {str(each): str(each.relative_to(root)) for each in inside if each.is_relative_to(root)}


def _unpack(bundle: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with bundle.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
