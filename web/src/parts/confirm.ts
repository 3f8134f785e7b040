/** A question before something that cannot be taken back. The answer that changes nothing has the focus. */
import { html, render } from "lit-html";

interface Question {
  title: string;
  text: string;
  keep: string;
  confirm: string;
}

/** Whether the person has confirmed. Escape and a click beside the dialog do not. */
export function confirmed(question: Question): Promise<boolean> {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  render(
    html`<h2 id="question">${question.title}</h2>
      <p>${question.text}</p>
      <form method="dialog">
        <button class="quiet" value="keep" autofocus>${question.keep}</button>
        <button class="bad" value="confirm">${question.confirm}</button>
      </form>`,
    dialog,
  );
  return answered(dialog);
}

/** Show a dialog until it is answered, and whether that was `confirm`. Escape and a click beside it are not. */
export function answered(dialog: HTMLDialogElement): Promise<boolean> {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close("keep");
  });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    // The event `close` comes a task later than the dialog goes: a press of the button in between would do nothing.
    const closing = new MutationObserver(() => {
      if (dialog.open) return;
      closing.disconnect();
      dialog.remove();
      resolve(dialog.returnValue === "confirm");
    });
    closing.observe(dialog, { attributeFilter: ["open"] });
  });
}
