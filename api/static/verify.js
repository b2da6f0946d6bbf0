// A badge file that is dropped on the page goes where it would go by hand. Without this the form works as well.
"use strict";
const form = document.querySelector("form.verify");
if (form) {
  const place = form.querySelector("[data-drop]");
  const file = form.querySelector("input[type=file]");
  const sending = form.querySelector("[data-sending]");
  let inside = 0;
  const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
  document.addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener("dragenter", (event) => { if (hasFiles(event)) { inside += 1; place.classList.add("over"); } });
  document.addEventListener("dragleave", () => { inside = Math.max(0, inside - 1); if (!inside) place.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    inside = 0;
    place.classList.remove("over");
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    form.requestSubmit();
  });
  form.addEventListener("submit", () => { sending.textContent = sending.dataset.sending; });
  addEventListener("pageshow", () => { sending.textContent = ""; });
}
