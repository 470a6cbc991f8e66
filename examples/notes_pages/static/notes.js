// The list of notes is fetched anew whenever the server says that something has changed.
const list = document.querySelector("[data-live]");
if (list) {
  const connection = document.querySelector("#connection");
  const events = new EventSource(list.dataset.live);
  events.addEventListener("open", () => (connection.textContent = "Live"));
  // The browser connects again by itself, and says which event was its last.
  events.addEventListener("error", () => (connection.textContent = "Connecting …"));
  events.addEventListener("changed", async () => {
    const answer = await fetch(list.dataset.source + location.search);
    if (answer.ok) list.innerHTML = await answer.text();
  });
}

// An upload shows how far it is: only XMLHttpRequest tells that.
for (const form of document.querySelectorAll("form[data-upload]")) {
  const progress = form.querySelector("progress");
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("x-csrf-token", form.elements.csrf_token.value);
    request.setRequestHeader("accept", "application/json");
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      progress.hidden = false;
      progress.value = loaded / total;
      status.textContent = `${Math.round((100 * loaded) / total)} %`;
    });
    request.addEventListener("loadend", () => {
      if (request.status === 201) location.reload();
      else status.textContent = request.status ? JSON.parse(request.responseText).detail : "The server cannot be reached.";
    });
    request.send(new FormData(form));
  });
}
