/** Where photos are dropped or chosen. Every drag has a button. */
import { html } from "lit-html";
import { filesOfDrop, filesOfInput, type Chosen } from "../upload/choose.ts";
import { DROP } from "../words/en.ts";

export function dropZone(take: (files: Promise<Chosen[]>) => void) {
  const onDrop = (event: DragEvent) => {
    event.preventDefault();
    over(event, false);
    if (event.dataTransfer) take(filesOfDrop(event.dataTransfer));
  };
  const over = (event: DragEvent, isOver: boolean) => {
    event.preventDefault();
    (event.currentTarget as HTMLElement).classList.toggle("over", isOver);
  };
  const title = matchMedia("(pointer: coarse)").matches ? DROP.touch : DROP.title;
  return html`<section class="sky drop" aria-label=${title} @dragover=${(event: DragEvent) => over(event, true)}
    @dragleave=${(event: DragEvent) => over(event, false)} @drop=${onDrop}>
    <div class="column">
      <p class="sentence">${title}</p>
      <div class="actions">${filePickers(take, true)}</div>
      <p class="muted">${DROP.hint}</p>
    </div>
  </section>`;
}

/** The buttons for files and for a folder. */
export function filePickers(take: (files: Promise<Chosen[]>) => void, isOnSky: boolean) {
  const onChosen = (event: Event) => {
    const input = event.target as HTMLInputElement;
    if (input.files?.length) take(Promise.resolve(filesOfInput(input.files)));
    input.value = "";
  };
  const open = (event: Event) => (event.currentTarget as HTMLElement).parentElement?.querySelector("input")?.click();
  return html`<span><input type="file" multiple hidden aria-label=${DROP.files} @change=${onChosen}><button @click=${open}>${DROP.files}</button></span>
    <span class="folder"><input type="file" webkitdirectory hidden aria-label=${DROP.folder} @change=${onChosen}><button
      class=${isOnSky ? "onsky" : "quiet"} @click=${open}>${DROP.folder}</button></span>`;
}
