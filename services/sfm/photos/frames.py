"""Has frames taken out of the videos of an upload, and says what a video lacks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.sfm.photo import Unreadable
from services.sfm.photos.decoder_pool import decode_all
from services.sfm.photos.read import IngestProgress
from services.sfm.photos.selection import FRAMES_SUFFIX
from services.sfm.wording import count
from spaceport.pipeline.file_names import with_suffix
from spaceport.pipeline.reports.sfm import Finding, Verdict

MAX_FRAMES: Final = 400  # of all videos together
MIN_FRAMES: Final = 8  # of each
ENOUGH_FRAMES: Final = 20
MIN_SHARE: Final = 0.3  # of the moments that are compared: in a flight nearly all differ


@dataclass(frozen=True)
class VideoFrames:
    """What the videos gave."""

    frames: dict[str, str]
    """The video of each frame, by the frame's name, which holds its time."""
    unreadable: list[Unreadable]
    """Videos without any."""
    findings: list[Finding]


def extract_frames(extracted: Path, videos: list[str], progress: IngestProgress) -> VideoFrames:
    """Write frames of these videos into folders beside them.

    Raises:
        OSError: the disk is full.
    """
    max_frames = max(MIN_FRAMES, MAX_FRAMES // max(1, len(videos)))
    folders = {video: with_suffix(video, FRAMES_SUFFIX) for video in videos}
    requests = [
        {
            "kind": "video",
            "path": str(extracted / video),
            "folder": str(extracted / folders[video]),
            "max_frames": max_frames,
        }
        for video in videos
    ]

    def on_share(share: float) -> None:
        progress.count("frames", round(100 * share), 100)

    replies = decode_all(requests, lambda _: None, progress.check, on_share=on_share)
    frames: dict[str, str] = {}
    unreadable, findings = [], []
    for video, reply in zip(videos, replies, strict=True):
        names = [f"{folders[video]}/{file}" for file, _ in reply.get("frames", ())]
        frames |= dict.fromkeys(names, video)
        if not names:
            unreadable.append(Unreadable(video, reply.get("reason", "it shows nothing")))
        elif sentence := about_few_frames(video, len(names), reply["stretches"]):
            findings.append(Finding(level=Verdict.WARN, sentence=sentence))
    return VideoFrames(frames, unreadable, findings)


def about_few_frames(video: str, frames: int, stretches: int) -> str:
    """Why so few frames of a video are used; empty where they are enough. `stretches`: how many it could have given."""
    if frames >= ENOUGH_FRAMES or (frames >= MIN_FRAMES and frames > MIN_SHARE * stretches):
        return ""
    gave = f"{video} gave only {count(frames, 'frame')}"
    if frames > MIN_SHARE * stretches:
        return f"{gave}, because it is short: film for half a minute or longer, while you move around the place."
    return (
        f"{gave}, because the camera hardly moved in it: {stretches} moments were compared, and the others show the"
        " same again. Film while you move around the place, or past it."
    )
