// A client of system A in Node: prints each message of the bridge as it came, until it has seen as many as asked for.
// usage: node bridge.js URL MESSAGES
const WebSocket = require('ws');

const [url, messages] = process.argv.slice(2);
const socket = new WebSocket(url);
let left = Number(messages);

socket.on('open', () => console.log('open'));
socket.on('message', (data) => {
  console.log(data.toString());
  left -= 1;
  if (left === 0) socket.close();
});
socket.on('close', () => process.exit(left === 0 ? 0 : 1));
socket.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
