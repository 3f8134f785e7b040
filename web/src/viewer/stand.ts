/** Moves the viewer that is on the page, from parts that do not load it. */
import type { Pose } from "../parts/report/types.ts";

interface Standing {
  standAt(pose: Pose): void;
}

export function stand(pose: Pose): void {
  document.querySelector<Partial<Standing> & HTMLElement>("splat-view")?.standAt?.(pose);
}
