// Where the page is hosted as plain files, a service worker keeps it for use without a network and sends the headers by which a page is
// isolated; the first visit loads once more for them.
const isStatic = document.querySelector('meta[name="ptychopinn-host"]')?.getAttribute('content') === 'static';
if (isStatic && 'serviceWorker' in navigator && window.isSecureContext) {
  await navigator.serviceWorker.register('sw.js').catch(() => {});
  if (!window.crossOriginIsolated && !navigator.serviceWorker.controller && !sessionStorage.getItem('isolated')) {
    sessionStorage.setItem('isolated', 'tried');
    await navigator.serviceWorker.ready;
    location.reload();
  }
}
const app = './app.js';
await import(app);
