"""A cluster's network that can be cut: each node reaches each other one through a TCP proxy of its own.

with Network() as network:
    cluster = Cluster(3, options, via=network.via)
    network.cut(3)
    network.block(1, 2)  # 2 no longer hears 1, which still hears 2
    network.heal()

A cut is a black hole, as a failed switch is: connections stay open and new ones are accepted, but nothing
passes in either direction until the network heals; what was under way arrives then. The proxies run in a
thread of their own; everything here may be called from any thread.
"""

import asyncio
import threading

READ_BYTES_MAX = 1 << 16
STOP_SECONDS = 10.0


class Network:
    can_lose = False  # TCP never does.
    hub = "127.0.0.1"

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        # (number, other, event that is set while the link passes from number to other, and from other to number).
        self._links = []
        self._tasks = set()
        self._servers = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()

    def via(self, number, other, port):
        """The port where node `number` reaches what node `other` has at `port`."""
        return self._call(self._listen(number, other, port))

    def cut(self, number):
        """Node `number` and all others no longer reach each other."""
        self._call(self._set(lambda sender, receiver: number not in (sender, receiver), also_cut=False))

    def block(self, sender, receiver):
        """Nothing that `sender` sends reaches `receiver`; what was cut already stays so."""
        self._call(self._set(lambda here, there: (here, there) != (sender, receiver), also_cut=True))

    def cut_towards(self, number):
        """Nothing reaches node `number` any more; what it sends arrives."""
        self._call(self._set(lambda _sender, receiver: receiver != number, also_cut=False))

    def heal(self):
        self._call(self._set(lambda _sender, _receiver: True, also_cut=False))

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(STOP_SECONDS)

    async def _set(self, passes, also_cut):
        for number, other, there, back in self._links:
            for passing, sender, receiver in ((there, number, other), (back, other, number)):
                if not passes(sender, receiver):
                    passing.clear()
                elif not also_cut:
                    passing.set()

    async def _listen(self, number, other, port):
        there, back = asyncio.Event(), asyncio.Event()
        there.set()
        back.set()
        self._links.append((number, other, there, back))

        async def accepted(reader, writer):
            self._keep(asyncio.current_task())
            await self._join(reader, writer, port, there, back)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    def _keep(self, task):
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader, writer, port, there, back):
        await there.wait()
        await back.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        pumps = [self._pump(reader, far_writer, there), self._pump(far_reader, writer, back)]
        try:
            await asyncio.gather(*pumps)
        finally:
            writer.close()
            far_writer.close()

    @staticmethod
    async def _pump(reader, writer, passing):
        """One direction. The end of either one ends both: gRPC has no use for half a connection."""
        try:
            while octets := await reader.read(READ_BYTES_MAX):
                await passing.wait()
                writer.write(octets)
                await writer.drain()
            await passing.wait()
        except OSError:
            pass
        writer.close()

    async def _close(self):
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
