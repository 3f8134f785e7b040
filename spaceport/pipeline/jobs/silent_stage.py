"""What the sweeper remembers of a silent stage from one run to the next: the row `nudges#STAGE`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from spaceport.pipeline.contract import StageName
from spaceport.pipeline.jobs.table import LEASE_SECONDS, JobTable


@dataclass(frozen=True)
class SilentStage:
    """A stage of a job about which nothing was heard for long."""

    table: JobTable
    job_id: str
    stage: StageName

    def observe(self, condition: str) -> int:
        """Note in which condition the stage is. Returns how many times in a row it was seen in that very one.

        Times less than a lease apart count once: whoever lives has renewed its lease by the next one, even on a laptop
        that slept before the first.
        """
        row = self._row()
        at = self.table.clock()
        same = row.get("observed_condition") == condition
        times = int(row["observed_times"]) if same else 0
        if same and at - float(row["observed_at"]) < LEASE_SECONDS:
            return times
        self._update(
            "SET observed_condition = :condition, observed_times = :times, observed_at = :at",
            {":condition": condition, ":times": times + 1, ":at": int(at)},
        )
        return times + 1

    def count_nudge(self) -> int:
        """Count one more attempt to wake the stage. Returns how many there were."""
        return int(self._update("ADD nudges :one", {":one": 1})["Attributes"]["nudges"])

    def note_ended(self, batch_ids: Collection[str]) -> None:
        """Note that these Batch jobs, at least one, are about to be ended although the job goes on."""
        self._update("ADD ended_batch_jobs :ids", {":ids": set(batch_ids)})

    def was_ended(self, batch_id: str) -> bool:
        """Whether the sweeper ended this Batch job although the job goes on."""
        return batch_id in self._row().get("ended_batch_jobs", ())

    def _row(self) -> dict[str, Any]:
        return self.table.table.get_item(Key=self._key(), ConsistentRead=True).get("Item", {})

    def _update(self, expression: str, values: dict[str, Any]) -> Any:
        return self.table.table.update_item(
            Key=self._key(),
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            ReturnValues="UPDATED_NEW",
        )

    def _key(self) -> dict[str, str]:
        return {"job_id": self.job_id, "record": f"nudges#{self.stage.value}"}
