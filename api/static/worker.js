// Shows what the library pushes to this device, and opens what it leads to.

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("push", (event) => {
  const told = event.data.json();
  event.waitUntil(
    self.registration.showNotification(told.title, {
      body: told.body,
      lang: told.lang,
      dir: told.dir,
      tag: told.tag, // the same message again takes its own place
      data: { link: told.link, leave: told.leave },
      actions: [{ action: "leave", title: told.leave_label }],
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  const { link, leave } = event.notification.data;
  event.notification.close();
  event.waitUntil(self.clients.openWindow(event.action === "leave" ? leave : link));
});

// Some browsers take another address from time to time. The whole one before is known
// to nobody else, so saying it proves which device this is.
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew()));

async function renew() {
  const kept = await caches.open("hamkhan");
  const before = await (await kept.match("/device"))?.json();
  if (!before) return;
  const { pushManager } = self.registration;
  const subscription =
    (await pushManager.getSubscription()) ??
    (await pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: before.asked_under,
    }));
  const { endpoint, keys } = subscription.toJSON();
  const device = { endpoint, ...keys, asked_under: before.asked_under };
  const body = new URLSearchParams(device);
  for (const name in before) body.set(`before_${name}`, before[name]);
  const address = new URL("../devices/renew", self.location);
  const answer = await fetch(address, { method: "POST", body });
  if (answer.ok) await kept.put("/device", new Response(JSON.stringify(device)));
}
