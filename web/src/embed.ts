/** `embed.html#TOKEN`: the model alone, in a frame of somebody's page, where storage may be refused: it needs none. */
import { render } from "lit-html";
import { readConfig } from "./api/config.ts";
import { SharePage } from "./share_page.ts";
import { embeddedView } from "./views/embedded.ts";
import { withoutPage } from "./views/shared.ts";

const root = document.getElementById("page") as HTMLElement;

async function start(): Promise<void> {
  const page = new SharePage(await readConfig());
  let isOpen = false;
  const open = () => {
    isOpen = true;
    draw();
  };
  const draw = () => render(embeddedView(page.store.state, isOpen, open), root);
  page.store.subscribe(draw);
  draw();
  page.start();
}

start().catch((error: unknown) => render(withoutPage(error), root));
