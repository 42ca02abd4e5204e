// While developing: serves the app's document at the addresses of its pages, as the server does.

import type { Plugin } from 'vite';

const PAGES = /^\/(login|register|account|settings|moments|about)\/?(\?|$)/;

export function appPages(): Plugin {
  return {
    name: 'emostream-app-pages',
    apply: 'serve',
    configureServer: ({ middlewares }) => {
      middlewares.use((request, _response, next) => {
        const { method, url } = request;
        const forPeople = (request.headers.accept ?? '').includes('text/html');
        if (method === 'GET' && forPeople && PAGES.test(url ?? '')) request.url = '/app.html';
        next();
      });
    },
  };
}
