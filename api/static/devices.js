// Offers to tell a patron on this device. Without scripts, or where the browser knows
// no push, nothing of it is shown.

const form = document.getElementById("device");

if (form && window.PushManager && window.Notification && navigator.serviceWorker) {
  document.getElementById("devices").hidden = form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask().then(fill, () => say("failed"));
  });
  markThisDevice();
}

async function ask() {
  if ((await Notification.requestPermission()) !== "granted") return say("blocked");
  const key = form.elements.asked_under.value;
  const registration = await navigator.serviceWorker.register(form.dataset.worker);
  await running(registration);
  const before = await registration.pushManager.getSubscription();
  if (before && keyOf(before) !== key) await before.unsubscribe();
  return registration.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: key,
  });
}

async function fill(subscription) {
  if (!subscription) return;
  const { endpoint, keys } = subscription.toJSON();
  form.elements.endpoint.value = endpoint;
  form.elements.p256dh.value = keys.p256dh;
  form.elements.auth.value = keys.auth;
  // The worker says it when the browser takes another address.
  const device = { endpoint, ...keys, asked_under: form.elements.asked_under.value };
  const kept = await caches.open("hamkhan");
  await kept.put("/device", new Response(JSON.stringify(device)));
  form.submit();
}

function say(what) {
  for (const line of form.querySelectorAll("[data-trouble]"))
    line.hidden = line.dataset.trouble !== what;
}

// A worker cannot be asked for an address before it runs.
function running({ installing, waiting, active }) {
  const worker = installing || waiting || active;
  return new Promise((done) => {
    const look = () => worker.state === "activated" && done();
    worker.addEventListener("statechange", look);
    look();
  });
}

function keyOf(subscription) {
  const bytes = new Uint8Array(subscription.options.applicationServerKey);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

async function markThisDevice() {
  const registration = await navigator.serviceWorker.getRegistration(form.dataset.worker);
  const subscription = await registration?.pushManager.getSubscription();
  for (const mark of document.querySelectorAll("[data-endpoint]"))
    mark.hidden = mark.dataset.endpoint !== subscription?.endpoint;
}
