// Copy buttons of the learner's page; without this script the values are there to be marked by hand.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) break; // over plain http browsers offer none
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    document.getElementById("copied").textContent = button.dataset.said;
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 2000);
  });
}
