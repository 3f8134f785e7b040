/** From which stage a job goes on, and with which options. */
import { html, render } from "lit-html";
import type { Changes } from "../api/schema.ts";
import type { Job, OptionsAnswer, Stage } from "../api/types.ts";
import { OPTIONS, RETRY, STAGE_NAMES } from "../words/en.ts";
import { answered } from "./confirm.ts";
import { hasProblems, optionsForm } from "./options_form.ts";

interface Wanted {
  stage: Stage;
  preset: string;
  changes: Changes;
}
interface Question extends Wanted {
  job: Job;
  schema: OptionsAnswer;
  stages: readonly Stage[];
}

/** Null where the person would rather not. */
export function askRetry({ job, schema, stages, ...first }: Question): Promise<Wanted | null> {
  const dialog = document.createElement("dialog");
  dialog.className = "wide";
  dialog.setAttribute("aria-labelledby", "retry");
  let wanted: Wanted = first;
  const change = (part: Partial<Wanted>) => {
    wanted = { ...wanted, ...part };
    draw();
  };
  const draw = () => render(view(), dialog);
  const view = () => {
    const { stage, preset, changes } = wanted;
    return html`<h2 id="retry">${RETRY.title(job.name)}</h2>
      <form method="dialog" class="stack">
        <fieldset class="stages"><legend>${RETRY.from}</legend>
          ${stages.map((each) => html`<label class="check"><input type="radio" name="stage" .checked=${each === stage}
            @change=${() => change({ stage: each })}><span>${STAGE_NAMES[each]}</span></label>`)}
        </fieldset>
        <p class="muted" role="status">${RETRY.kept(stage)}</p>
        <label>${OPTIONS.preset}<select @change=${(event: Event) => change({ preset: (event.target as HTMLSelectElement).value })}>
          ${Object.keys(schema.presets).map((name) => html`<option value=${name} ?selected=${name === preset}>${OPTIONS.presets[name] ?? name}</option>`)}
        </select></label>
        ${optionsForm({
          answer: schema, preset, changes,
          change: (key, value) => change({ changes: new Map(changes).set(key, value) }),
          reset: (key) => change({ changes: new Map([...changes].filter(([each]) => each !== key)) }),
        })}
        <div class="buttons">
          <button type="button" class="quiet" @click=${() => dialog.close("keep")}>${RETRY.keep}</button>
          <button value="confirm" ?disabled=${hasProblems(schema, changes)}>${RETRY.confirm}</button>
        </div>
      </form>`;
  };
  draw();
  return answered(dialog).then((isConfirmed) => (isConfirmed ? wanted : null));
}
