/** The addresses that a token makes, and the text that puts a model into another page. Pure. */

/** @param page the address of the page, whatever is behind its last slash */
export function shareLink(page: string, token: string): string {
  return `${new URL("share.html", page).href}#${token}`;
}

export function frameCode(page: string, token: string, name: string): string {
  const address = `${new URL("embed.html", page).href}#${token}`;
  return `<iframe src="${escaped(address)}" title="${escaped(name)}" style="width:100%;aspect-ratio:16/9;border:0" ` +
    `allow="fullscreen" loading="lazy" referrerpolicy="no-referrer"></iframe>`;
}

/** Whether this page is only for this machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127(\.\d+){3}$/.test(host);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
