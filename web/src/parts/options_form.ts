/** All options, generated from the schema: number, switch or choice, or empty where the device decides. */
import { html, nothing } from "lit-html";
import { live } from "lit-html/directives/live.js";
import { defaultOf, fieldsOf, keyOf, problemWith, type Changes, type Field } from "../api/schema.ts";
import type { OptionsAnswer } from "../api/types.ts";
import { OPTIONS } from "../words/en.ts";

interface Form {
  answer: OptionsAnswer;
  preset: string;
  changes: Changes;
  change(key: string, value: unknown): void;
  reset(key: string): void;
}

export function optionsForm(form: Form) {
  const fields = fieldsOf(form.answer.schema);
  const groups = [...new Set(fields.map((field) => field.group))];
  return html`<details class="options"><summary>${OPTIONS.title}${form.changes.size ? ` (${OPTIONS.changed(form.changes.size)})` : ""}</summary>
    ${groups.map((group) => html`<fieldset><legend>${OPTIONS.groups[group] ?? group}</legend>
      ${fields.filter((field) => field.group === group).map((field) => row(form, field))}</fieldset>`)}
  </details>`;
}

function row(form: Form, field: Field) {
  const key = keyOf(field);
  const isChanged = form.changes.has(key);
  const usual = defaultOf(field, form.answer, form.preset);
  const value = isChanged ? form.changes.get(key) : usual;
  const id = `option-${key.replace(".", "-")}`;
  const problem = problemWith(field, String(value ?? ""));
  return html`<div class="option ${isChanged ? "changed" : ""}">
    <label for=${id}>${field.title}</label>
    ${control(form, field, id, value)}
    ${isChanged ? html`<button type="button" class="quiet small" @click=${() => form.reset(key)}>${OPTIONS.reset}</button>` : nothing}
    ${problem ? html`<p class="bad" id="${id}-problem">${problem}</p>` : nothing}
    <p class="muted" id="${id}-text">${field.description}</p>
  </div>`;
}

function control(form: Form, field: Field, id: string, value: unknown) {
  const key = keyOf(field);
  const described = `${id}-problem ${id}-text`;
  if (field.kind === "switch")
    return html`<input id=${id} type="checkbox" aria-describedby=${described} .checked=${live(value === true)}
      @change=${(event: Event) => form.change(key, (event.target as HTMLInputElement).checked)}>`;
  if (field.kind === "choice")
    return html`<select id=${id} aria-describedby=${described} @change=${(event: Event) =>
        form.change(key, field.choices[(event.target as HTMLSelectElement).selectedIndex])}>
      ${field.choices.map((choice) => html`<option .selected=${live(choice === value)}>${choice}</option>`)}</select>`;
  const isWrong = problemWith(field, String(value ?? "")) !== null;
  return html`<input id=${id} inputmode="decimal" placeholder=${OPTIONS.empty} aria-describedby=${described}
    aria-invalid=${isWrong ? "true" : "false"} .value=${live(value === null || value === undefined ? "" : String(value))}
    @input=${(event: Event) => {
      const text = (event.target as HTMLInputElement).value;
      form.change(key, text.trim() === "" ? null : problemWith(field, text) === null ? Number(text) : text);
    }}>`;
}

/** Whether any option is not what it may be. */
export function hasProblems(answer: OptionsAnswer, changes: Changes): boolean {
  return fieldsOf(answer.schema).some((field) => changes.has(keyOf(field)) && problemWith(field, String(changes.get(keyOf(field)) ?? "")) !== null);
}
