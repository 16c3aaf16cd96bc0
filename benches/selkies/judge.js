// Runs in the page of every contestant before the page's own scripts: notes when keys reach the page and which picture is
// shown when. All of them show a <video>, so one judge sees all of them by the same callback. Times are milliseconds since
// 1970. The layout of the marker is that of `program/marker.rs`.
(() => {
    const CELL = 16, COLUMNS = 32, ROWS = 2, WIDTH = 1280, HEIGHT = 720, BANDS = 16, BAND_CELLS = 8, SYNC = 0xA6;
    // Each picture: shown, presented so far, number, keys, drawn (tenths of milliseconds modulo 2^24), torn, width.
    const judge = window.judge = { pictures: [], keys: [], unread: 0, presented: 0 };
    addEventListener('keydown', event => {
        if (!event.repeat) judge.keys.push(performance.timeOrigin + event.timeStamp);
    }, true);

    // Connections, for what they count.
    const peers = [];
    window.RTCPeerConnection = class extends window.RTCPeerConnection {
        constructor(...all) { super(...all); peers.push(this); }
    };
    // Key frames of the picture and requests for them, over all connections so far; none where there is no connection.
    judge.keyFrames = async () => {
        const sum = { decoded: 0, asked: 0, connections: peers.length };
        for (const peer of peers) {
            for (const report of (await peer.getStats()).values()) {
                if (report.type !== 'inbound-rtp' || report.kind !== 'video') continue;
                sum.decoded += report.keyFramesDecoded ?? 0;
                sum.asked += (report.pliCount ?? 0) + (report.firCount ?? 0);
            }
        }
        return sum;
    };

    // The mean of a few samples in the middle of a cell.
    const isWhite = (luma, stride, scale, x, y) => {
        let sum = 0;
        for (const dx of [-2, 2]) for (const dy of [-2, 2]) {
            sum += luma[Math.floor((y + dy) * scale) * stride + Math.floor((x + dx) * scale)];
        }
        return sum > 4 * 126;
    };
    // `null` where there is no marker.
    const read = (luma, stride, width) => {
        const scale = width / WIDTH;
        const bytes = [0, 0, 0, 0, 0, 0, 0, 0];
        for (let index = 0; index < COLUMNS * ROWS; index++) {
            const x = index % COLUMNS * CELL + CELL / 2, y = Math.floor(index / COLUMNS) * CELL + CELL / 2;
            bytes[index >> 3] = bytes[index >> 3] << 1 | isWhite(luma, stride, scale, x, y);
        }
        const [sync, high, low, keys, t0, t1, t2, told] = bytes;
        const sum = bytes.slice(1, 7).reduce((sum, byte) => ((sum << 1 | sum >> 7) & 0xFF) ^ byte, 0x5A);
        if (sync !== SYNC || sum !== told) return null;
        return { number: high << 8 | low, keys, drawn: t0 << 16 | t1 << 8 | t2 };
    };
    // Whether bands of the picture are of different numbers.
    const isTorn = (luma, stride, width, number) => {
        const scale = width / WIDTH;
        for (let band = 0; band < BANDS; band++) {
            const y = HEIGHT * band / BANDS + HEIGHT / BANDS / 2;
            let byte = 0;
            for (let cell = 0; cell < BAND_CELLS; cell++) {
                byte = byte << 1 | isWhite(luma, stride, scale, WIDTH - (BAND_CELLS - cell) * CELL + CELL / 2, y);
            }
            if (byte !== (number & 0xFF)) return true;
        }
        return false;
    };

    const buffers = [];
    let current = null;
    const watch = video => {
        current = video;
        const look = async (now, data) => {
            if (current !== video) return;
            video.requestVideoFrameCallback(look);
            judge.presented = data.presentedFrames;
            const shown = performance.timeOrigin + data.presentationTime;
            let frame;
            try {
                frame = new VideoFrame(video);
                const buffer = buffers.pop() ?? new Uint8Array(WIDTH * HEIGHT * 4);
                const [plane] = await frame.copyTo(buffer);
                const { width } = frame.visibleRect;
                const marker = read(buffer.subarray(plane.offset), plane.stride, width);
                if (marker) {
                    const torn = isTorn(buffer.subarray(plane.offset), plane.stride, width, marker.number);
                    judge.pictures.push([
                        shown, data.presentedFrames, marker.number, marker.keys, marker.drawn, torn ? 1 : 0, width,
                    ]);
                } else judge.unread++;
                buffers.push(buffer);
            } catch {
                judge.unread++;
            } finally {
                frame?.close();
            }
        };
        video.requestVideoFrameCallback(look);
    };
    const find = () => {
        const videos = [...document.querySelectorAll('video')].filter(video => video.videoWidth > 0 && video.getClientRects().length);
        const video = videos.sort((one, other) => other.videoWidth - one.videoWidth)[0];
        if (video && video !== current) watch(video);
    };
    setInterval(find, 100);

    // What has been seen since the last call.
    judge.take = () => {
        const { pictures, keys, unread } = judge;
        Object.assign(judge, { pictures: [], keys: [], unread: 0 });
        return { pictures, keys, unread };
    };
    // The luma of what is shown, by its marker's number, as a person sees it: colours as the browser makes them.
    judge.snap = () => new Promise((done, failed) => {
        if (!current) return failed(new Error('no picture'));
        const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
        const context = canvas.getContext('2d', { willReadFrequently: true });
        const shoot = () => {
            context.drawImage(current, 0, 0, WIDTH, HEIGHT);
            const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
            const luma = new Uint8Array(WIDTH * HEIGHT);
            for (let at = 0, from = 0; at < luma.length; at++, from += 4) {
                luma[at] = Math.round(0.2126 * data[from] + 0.7152 * data[from + 1] + 0.0722 * data[from + 2]);
            }
            const marker = read(luma, WIDTH, WIDTH);
            let text = '';
            for (let at = 0; at < luma.length; at += 8192) text += String.fromCharCode(...luma.subarray(at, at + 8192));
            done({ ...marker, luma: btoa(text) });
        };
        // A still picture has no next one.
        const timer = setTimeout(shoot, 200);
        current.requestVideoFrameCallback(() => { clearTimeout(timer); shoot(); });
    });
})();
