"""Every way a job can fail: a slug for machines, a sentence for people.

A sentence says what happened and what to do next; `{name}` fields are filled from the keywords of `SpaceportError`.
"""

from __future__ import annotations

from enum import StrEnum

from spaceport.pipeline.text import visible


class Slug(StrEnum):
    """The closed list of failures. Tables, mails, manifests and dashboards use these names."""

    # the upload
    NOT_A_ZIP = "not_a_zip"
    EMPTY_ZIP = "empty_zip"
    ENCRYPTED_ZIP = "encrypted_zip"
    UNSAFE_PATH = "unsafe_path"
    SYMLINK_ENTRY = "symlink_entry"
    RATIO_BOMB = "ratio_bomb"
    TOO_MANY_ENTRIES = "too_many_entries"
    ARCHIVE_TOO_LARGE = "archive_too_large"
    DUPLICATE_NAMES = "duplicate_names"
    DAMAGED_ZIP = "damaged_zip"
    UNSUPPORTED_METHOD = "unsupported_method"
    SPLIT_ZIP = "split_zip"
    NESTED_ZIP = "nested_zip"
    NO_IMAGES = "no_images"
    TOO_FEW_IMAGES = "too_few_images"
    BAD_OPTIONS = "bad_options"
    UPLOAD_MISSING = "upload_missing"
    OVER_QUOTA = "over_quota"
    BAD_POSITIONS = "bad_positions"
    BAD_PRIOR_MODEL = "bad_prior_model"
    # structure from motion
    NO_READABLE_IMAGES = "no_readable_images"
    UNSUITABLE_PHOTOS = "unsuitable_photos"
    HOPELESS_CAPTURE = "hopeless_capture"
    NO_OVERLAP = "no_overlap"
    TOO_FEW_REGISTERED = "too_few_registered"
    # training
    BAD_RECONSTRUCTION = "bad_reconstruction"
    PHOTO_MISMATCH = "photo_mismatch"
    TRAINING_DIVERGED = "training_diverged"
    # compression
    BAD_MODEL = "bad_model"
    COMPRESSION_BROKEN = "compression_broken"
    MODEL_TOO_LARGE = "model_too_large"
    # the machine
    DISK_FULL = "disk_full"
    OUT_OF_MEMORY = "out_of_memory"
    INPUT_MISSING = "input_missing"
    TIMED_OUT = "timed_out"
    NEVER_STARTED = "never_started"
    NOT_SET_UP = "not_set_up"
    MACHINE_LOST = "machine_lost"
    INTERNAL = "internal"


SENTENCES: dict[Slug, str] = {
    Slug.NOT_A_ZIP: (
        "The uploaded file is not a zip archive but {what}. Put the photos themselves into a .zip file and upload that."
    ),
    Slug.EMPTY_ZIP: "The zip is empty. Put your photos into it and upload it again.",
    Slug.ENCRYPTED_ZIP: "The zip is protected by a password. Make one without a password and upload it again.",
    Slug.UNSAFE_PATH: (
        "The zip holds a file whose path would leave its folder ({name}). Zip the photo folder itself and upload it again."
    ),
    Slug.SYMLINK_ENTRY: "The zip holds a link instead of a file ({name}). Zip the photos themselves and upload it again.",
    Slug.RATIO_BOMB: (
        "The zip claims to unpack to far more than photos do ({name}). Make a fresh zip of the photos and upload that."
    ),
    Slug.TOO_MANY_ENTRIES: "The zip holds {count} files; at most {limit} are accepted. Split the survey into several zips.",
    Slug.ARCHIVE_TOO_LARGE: (
        "The zip would unpack to {size_gb} GB; at most {limit_gb} GB are accepted. Split the survey or use smaller photos."
    ),
    Slug.DUPLICATE_NAMES: "The zip holds the same file name twice ({name}). Rename one of them and upload it again.",
    Slug.DAMAGED_ZIP: "The zip is damaged and cannot be unpacked ({name}). Make a fresh zip of the photos and upload that.",
    Slug.UNSUPPORTED_METHOD: (
        "The zip is packed as {method}, which cannot be unpacked here ({name}). Zip the photos again with 7-Zip, archive"
        " format zip, method Deflate, and upload that."
    ),
    Slug.SPLIT_ZIP: (
        "The upload is one part of a split zip ({name}), and the other parts are missing. Make one zip of all photos without"
        " splitting it, or one zip for each part of the survey, and upload that."
    ),
    Slug.NESTED_ZIP: (
        "The zip holds archives instead of photos ({name}). Unpack them, put the photos themselves into one zip and upload"
        " that."
    ),
    Slug.NO_IMAGES: "The zip holds no photos. It needs photos (JPEG, HEIC, PNG, TIFF, WebP, DNG) or a video (MP4, MOV).",
    Slug.TOO_FEW_IMAGES: (
        "The zip holds only {count} photos; at least {limit} that overlap are needed, and 20 or more give a good model."
    ),
    Slug.BAD_OPTIONS: "The options of this job cannot be used: {detail}. Run `spaceport options` to see what is accepted.",
    Slug.UPLOAD_MISSING: "The uploaded zip is no longer there ({name}). Upload it again.",
    Slug.OVER_QUOTA: "Your team has reached one of its limits: {detail}. Whoever operates this service can raise it.",
    Slug.BAD_POSITIONS: "The file {name} cannot be used: {detail}. Correct it or leave it out, and upload the photos again.",
    Slug.BAD_PRIOR_MODEL: (
        "The COLMAP model in the zip cannot be used: {detail}. Correct it, or leave it out to have the photos reconstructed"
        " from scratch, and upload again."
    ),
    Slug.NO_READABLE_IMAGES: ("Only {count} of {total} photos could be read; at least {limit} are needed. {why}"),
    Slug.UNSUITABLE_PHOTOS: "Only {count} of {total} photos can be used; at least {limit} are needed. {why}",
    Slug.HOPELESS_CAPTURE: "No model can be made from these photos: {why} Take them again and upload the new ones.",
    Slug.NO_OVERLAP: (
        "No two of the {total} photos could be matched with each other. Fly with more overlap, 70 % or more, and keep the"
        " photos sharp."
    ),
    Slug.TOO_FEW_REGISTERED: (
        "Only {count} of {total} photos could be placed. Fly with more overlap, 70 % or more, and keep the photos sharp."
    ),
    Slug.BAD_RECONSTRUCTION: (
        "The reconstruction cannot be trained on: {detail}. Run structure from motion again, with more or sharper photos."
    ),
    Slug.PHOTO_MISMATCH: (
        "A photo does not fit the reconstruction: {detail}. Run structure from motion again on the photos as they are."
    ),
    Slug.TRAINING_DIVERGED: (
        "Training became unstable and was stopped after {iterations} iterations. Start the job again with preset `draft`."
    ),
    Slug.BAD_MODEL: "The trained model cannot be compressed: {detail}. Train it again.",
    Slug.COMPRESSION_BROKEN: (
        "No compressed file was good enough to publish ({detail}). The trained model is delivered as it is."
    ),
    Slug.MODEL_TOO_LARGE: (
        "The trained model is too large to be compressed on this machine: its {count} Gaussians need about {need_gb} GB of"
        " memory, and {have_gb} GB are there. It is delivered as it is. Train again with a smaller `max_gaussians`, or give"
        " compression more memory."
    ),
    Slug.DISK_FULL: "The machine ran out of disk space during {stage}. Use fewer or smaller photos, or a larger disk.",
    Slug.OUT_OF_MEMORY: "The machine ran out of memory during {stage}. Use fewer photos, preset `draft`, or a larger machine.",
    Slug.INPUT_MISSING: "A file that {stage} needs is missing or was changed ({name}). Start the job again from the upload.",
    Slug.TIMED_OUT: "{stage} did not finish within its time limit. Use fewer photos or preset `draft`, or raise the limit.",
    Slug.NEVER_STARTED: (
        "{stage} waited too long for a machine and was given up. Try again later, or ask the operator to check the queue."
    ),
    Slug.NOT_SET_UP: (
        "{stage} could not start, because this service is not completely set up: {detail}. Nothing is wrong with your"
        " photos; tell the operator, and start the job again when it is corrected."
    ),
    Slug.MACHINE_LOST: "The machine that ran {stage} was lost, and no tries are left. Start the job again.",
    Slug.INTERNAL: "{stage} ended for a reason that we did not foresee. The operator can find it in the log of this job.",
}


class SpaceportError(Exception):
    """A failure with a slug and its sentence. `str(error)` is the sentence, ready for a mail.

    Facts may hold what a user wrote: names of files, fields of JSON. They are made visible here, for every reader.
    """

    def __init__(self, slug: Slug, **facts: object) -> None:
        self.slug = slug
        self.facts = facts
        super().__init__(SENTENCES[slug].format(**{name: visible(str(value)) for name, value in facts.items()}))


class Refused(SpaceportError):
    """The input cannot become a model, now or later: never retry."""


class LostResource(SpaceportError):
    """The machine failed, not the input: another try may succeed."""


class UnknownJob(Exception):
    """There is no such job, or nothing of it to start from. `str(error)` is a sentence.

    An exception of its own: a `KeyError` would make any bug in a dictionary read as a missing job.
    """


class Conflict(Exception):
    """What is there already does not allow it. `str(error)` is a sentence."""

    @classmethod
    def of_taken_id(cls, job_id: str) -> Conflict:
        return cls(f"The id {visible(job_id)} is taken. Choose another, or leave out `jobId`.")


class Stopped(Exception):
    """The owner stopped the job. Not a failure: work ends and nothing is published."""


class Interrupted(Exception):
    """The machine is about to be taken away (SIGTERM without a stop): save what can be saved, then retry."""


class LostLease(Exception):
    """Another worker holds the lease now: end quietly and publish nothing."""
