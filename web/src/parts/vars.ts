/** `<div ${vars({"--at": "0.4"})}>`: custom properties by script. A `style` attribute is what the page's CSP forbids. */
import { nothing } from "lit-html";
import { Directive, directive, type ElementPart } from "lit-html/directive.js";

class Vars extends Directive {
  render(_values: Record<string, string>) {
    return nothing;
  }

  override update(part: ElementPart, [values]: [Record<string, string>]) {
    const { style } = part.element as HTMLElement;
    for (const [name, value] of Object.entries(values)) style.setProperty(name, value);
    return nothing;
  }
}

export const vars = directive(Vars);
