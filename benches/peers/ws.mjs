// `ws` 8 in its usual form for a chat without storage: each message is encoded into one Buffer, which is sent to all
// subscribers. It speaks the Directus frames that benches/load sends, and its events have the length of chinwag's.
// Arguments: the port.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]), perMessageDeflate: false });
const listeners = new Set();
const author = '144e9088-2ed9-4d32-a1b7-3c1b0f3e7a52';
let id = 0;

const answers = {
  auth: () => ({ type: 'auth', status: 'ok' }),
  subscribe(frame, socket) {
    listeners.add(socket);
    return { type: 'subscription', event: 'init', data: [], uid: frame.uid };
  },
  items(frame) {
    const item = { id: ++id, user_created: author, date_created: new Date().toISOString(), ...frame.data };
    const shown = { ...item, user_created: { first_name: 'Load' } };
    const event = { type: 'subscription', event: 'create', data: [shown], uid: '1', cursor: 'AAAAAAAAAAYhN0s5m1fQ2A' };
    const bytes = Buffer.from(JSON.stringify(event));
    for (const listener of listeners) listener.send(bytes, { binary: false });
    return { type: 'items', data: item, uid: frame.uid };
  },
};

server.on('connection', (socket) => {
  socket.on('message', (message) => {
    const frame = JSON.parse(message);
    const answer = answers[frame.type]?.(frame, socket);
    if (answer) socket.send(JSON.stringify(answer));
  });
  socket.on('close', () => listeners.delete(socket));
  socket.on('error', () => {});
});
server.on('listening', () => console.log('ready'));
