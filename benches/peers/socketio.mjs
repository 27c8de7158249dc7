// socket.io 4 in its usual form for a chat without storage: a room with all subscribers, and WebSocket from the start.
// Arguments: the port.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false });
let id = 0;

io.on('connection', (socket) => {
  socket.on('subscribe', () => {
    socket.join('messages');
    socket.emit('subscribed');
  });
  socket.on('create', (data) => {
    const item = { id: ++id, user_created: { first_name: 'Load' }, date_created: new Date().toISOString(), ...data };
    io.to('messages').emit('message', { event: 'create', data: [item], cursor: 'AAAAAAAAAAYhN0s5m1fQ2A' });
  });
});
http.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
