/** The options of a job as fields of a form, from the JSON Schema of `GET /options`. */

import type { OptionsAnswer, Values } from "./types.ts";

type Json = Record<string, unknown>;
export interface Field {
  /** `sfm`, `train`, `compress`, or empty for an option of the whole job. */
  group: string;
  name: string;
  /** Its name for people. */
  title: string;
  kind: "number" | "switch" | "choice";
  description: string;
  isInteger: boolean;
  /** Whether it may be left empty: then the device, or another option, decides. */
  isNullable: boolean;
  choices: (string | number)[];
  minimum: number | null;
  maximum: number | null;
  isAbove: boolean;
}
/** What a person has set, by `group.name`. */
export type Changes = ReadonlyMap<string, unknown>;

export const keyOf = (field: Field) => `${field.group}.${field.name}`;

export function fieldsOf(schema: Json): Field[] {
  const definitions = (schema["$defs"] ?? {}) as Record<string, Json>;
  const fields: Field[] = [];
  for (const [name, property] of propertiesOf(schema)) {
    const target = resolved(property, definitions);
    if (target["type"] === "object") {
      for (const [inner, each] of propertiesOf(target)) add(fieldOf(name, inner, each, definitions));
    } else if (name !== "preset") add(fieldOf("", name, property, definitions)); // the cards choose it
  }
  return fields;

  function add(field: Field | null): void {
    if (field) fields.push(field);
  }
}

function propertiesOf(schema: Json): [string, Json][] {
  return Object.entries((schema["properties"] ?? {}) as Record<string, Json>);
}

function resolved(property: Json, definitions: Record<string, Json>): Json {
  const name = String(property["$ref"] ?? "").split("/").at(-1) ?? "";
  return definitions[name] ?? property;
}

function fieldOf(group: string, name: string, property: Json, definitions: Record<string, Json>): Field | null {
  const either = (property["anyOf"] ?? [property]) as Json[];
  const isNullable = either.some((each) => each["type"] === "null");
  const type = resolved(either.find((each) => each["type"] !== "null") ?? {}, definitions);
  const choices = (type["enum"] ?? []) as (string | number)[];
  const isNumber = type["type"] === "integer" || type["type"] === "number";
  const kind = choices.length ? "choice" : type["type"] === "boolean" ? "switch" : isNumber ? "number" : null;
  if (!kind) return null;
  const bound = (key: string) => (typeof type[key] === "number" ? (type[key] as number) : null);
  return {
    group, name, kind, isNullable, choices,
    title: String(property["title"] ?? name.replaceAll("_", " ")),
    description: String(property["description"] ?? "").replace(/\s+/g, " "),
    isInteger: type["type"] === "integer",
    minimum: bound("minimum") ?? bound("exclusiveMinimum"),
    maximum: bound("maximum"),
    isAbove: bound("exclusiveMinimum") !== null,
  };
}

/** What an option is as long as nobody sets it: the preset's value, or else the default. */
export function defaultOf(field: Field, answer: OptionsAnswer, preset: string): unknown {
  const ofPreset = (answer.presets[preset]?.[field.group] ?? {}) as Values;
  if (field.name in ofPreset) return ofPreset[field.name];
  const group = field.group ? ((answer.defaults[field.group] ?? {}) as Values) : answer.defaults;
  return group[field.name] ?? null;
}

/** Why a text is no value of the option; null where it is one. */
export function problemWith(field: Field, text: string): string | null {
  if (field.kind !== "number") return null;
  if (text.trim() === "") return field.isNullable ? null : "A number is needed.";
  const value = Number(text);
  if (!Number.isFinite(value)) return "This is no number.";
  if (field.isInteger && !Number.isInteger(value)) return "A whole number is needed.";
  const { minimum, maximum } = field;
  if (minimum !== null && (field.isAbove ? value <= minimum : value < minimum)) return `${field.isAbove ? "More than" : "At least"} ${minimum}.`;
  if (maximum !== null && value > maximum) return `At most ${maximum}.`;
  return null;
}

/** The body of a request: the preset, and what differs from it. */
export function optionsOf(preset: string, changes: Changes): Values {
  const options: Values = { preset };
  for (const [key, value] of changes) {
    const [group = "", name = ""] = key.split(".");
    if (!group) options[name] = value;
    else options[group] = { ...((options[group] ?? {}) as Values), [name]: value };
  }
  return options;
}

/** What a preset changes, as `name: value` in the schema's own words. */
export function changesOf(answer: OptionsAnswer, preset: string): string[] {
  const titles = new Map(fieldsOf(answer.schema).map((field) => [keyOf(field), field.title]));
  return Object.entries(answer.presets[preset] ?? {}).flatMap(([group, values]) =>
    Object.entries(values)
      .filter(([name]) => name !== "preset")
      .map(([name, value]) => `${titles.get(`${group}.${name}`) ?? name}: ${typeof value === "number" ? value.toLocaleString("en") : String(value)}`),
  );
}

/** How a job's options differ from its preset's, as a person would have set them. */
export function changesFrom(answer: OptionsAnswer, options: Values): { preset: string; changes: Map<string, unknown> } {
  const preset = String(options["preset"] ?? "standard");
  const changes = new Map<string, unknown>();
  for (const field of fieldsOf(answer.schema)) {
    const group = field.group ? ((options[field.group] ?? {}) as Values) : options;
    const value = group[field.name];
    if (value !== undefined && value !== defaultOf(field, answer, preset)) changes.set(keyOf(field), value);
  }
  return { preset, changes };
}
