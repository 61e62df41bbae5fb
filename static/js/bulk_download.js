// Downloading what is chosen: one file after the other, each by its own link, as no store packs several into one.
import { t } from "./strings.js";
import { toast } from "./toasts.js";

const PAUSE_MS = 700; // browsers drop one of two that begin at once
const NONE = "00000000-0000-0000-0000-000000000000";

async function fetchAll(addresses) {
  for (const address of addresses) {
    const link = Object.assign(document.createElement("a"), { href: address, download: "", hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-download-all]");
  if (!button) return;
  const cards = [...document.querySelectorAll("#assets [data-asset]:has(input[data-pick]:checked)")];
  const ready = cards.filter((card) => card.dataset.status === "available");
  const left = cards.length - ready.length;
  if (!ready.length) return toast({ text: t("download_none"), tone: "bad" });
  const words = left ? t("download_some", { n: ready.length, left }) : t("download_many", { n: ready.length });
  toast({ text: words, tone: "calm" });
  fetchAll(ready.map((card) => button.dataset.downloadAll.replace(NONE, card.dataset.asset))).catch(console.error);
});
