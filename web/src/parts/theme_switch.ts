/** Light, dark, or as the device is. Kept on this device. */
import { html } from "lit-html";
import { THEMES } from "../words/en.ts";

export type Theme = keyof typeof THEMES;
const NAME = "spaceport-theme";

export function storedTheme(): Theme {
  const theme = localStorage.getItem(NAME);
  return theme === "light" || theme === "dark" ? theme : "system";
}

export function showTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function themeSwitch(theme: Theme, choose: (theme: Theme) => void) {
  const change = (event: Event) => {
    const chosen = (event.target as HTMLSelectElement).value as Theme;
    localStorage.setItem(NAME, chosen);
    showTheme(chosen);
    choose(chosen);
  };
  return html`<label class="theme"><span class="hidden">Colours</span>
    <select @change=${change}>
      ${Object.entries(THEMES).map(([name, label]) => html`<option value=${name} ?selected=${name === theme}>${label}</option>`)}
    </select>
  </label>`;
}
