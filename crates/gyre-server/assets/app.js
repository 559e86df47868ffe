// Live progress: when the run records something, show it, and once its figures
// can have changed, load them again. Everything works without this file.
"use strict";
for (const box of document.querySelectorAll("[data-events]")) {
  const list = box.querySelector("ol");
  const source = new EventSource(box.dataset.events);
  source.addEventListener("recorded", (message) => {
    const event = JSON.parse(message.data);
    const item = document.createElement("li");
    item.textContent = `${event.seq} · round ${event.round} · ${event.kind.replaceAll("_", " ")}`;
    list.prepend(item);
    while (list.children.length > 12) list.lastChild.remove();
    box.hidden = false;
  });
}
for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
