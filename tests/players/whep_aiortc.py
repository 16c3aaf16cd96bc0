"""Watches by WHEP with aiortc and says every second how many frames it has decoded: whep_aiortc.py URL TOKEN SECONDS [--aes-cm]."""

import asyncio
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription, rtcdtlstransport
from aiortc.mediastreams import MediaStreamError

from whep import Resource, say


async def main(url: str, token: str, seconds: int, only_aes_cm: bool) -> None:
    if only_aes_cm:
        profiles = rtcdtlstransport.SRTP_PROFILES
        profiles[:] = [profile for profile in profiles if b"AES128_CM_SHA1_80" in profile.openssl_profile]
        assert len(profiles) == 1, profiles
    pc = RTCPeerConnection()
    seen = {"frames": 0, "width": 0}
    tasks = []

    async def count(track) -> None:
        try:
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    seen["frames"] += 1
                    seen["width"] = frame.width
        except MediaStreamError:
            pass

    pc.on("track", lambda track: tasks.append(asyncio.ensure_future(count(track))))
    for kind in ("video", "audio"):
        pc.addTransceiver(kind, direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    resource = await asyncio.to_thread(Resource.offer, url, token, pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(resource.answer, "answer"))
    for _ in range(seconds):
        await asyncio.sleep(1)
        say(state=pc.connectionState, **seen)
    await asyncio.to_thread(resource.leave)
    await pc.close()


if __name__ == "__main__":
    url, token, seconds, *options = sys.argv[1:]
    asyncio.run(main(url, token, int(seconds), "--aes-cm" in options))
