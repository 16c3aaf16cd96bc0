"""Watches by WHEP with GStreamer's webrtcbin and says every second how many key and delta frames have come whole:
whep_gstreamer.py URL TOKEN SECONDS."""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

from whep import Resource, say  # noqa: E402

H264 = (
    "application/x-rtp,media=video,encoding-name=H264,payload=102,clock-rate=90000,"
    "packetization-mode=(string)1,profile-level-id=(string)42e01f"
)
OPUS = "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2"


class Player:
    def __init__(self, url: str, token: str, seconds: int) -> None:
        self.url, self.token, self.seconds = url, token, seconds
        self.keys = self.deltas = 0
        self.failed = None
        self.resource = None
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.Pipeline.new("player")
        self.webrtc = Gst.ElementFactory.make("webrtcbin", "webrtc")
        self.webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.pipeline.add(self.webrtc)
        self.webrtc.connect("pad-added", self.pad_added)
        self.webrtc.connect("notify::ice-gathering-state", self.gathered)
        self.offered = False
        for caps in (H264, OPUS):
            direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
            self.webrtc.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.error)

    def run(self) -> None:
        self.pipeline.set_state(Gst.State.PLAYING)
        promise = Gst.Promise.new_with_change_func(self.offer_made)
        self.webrtc.emit("create-offer", None, promise)
        GLib.timeout_add_seconds(1, self.tick)
        self.loop.run()
        if self.resource:
            self.resource.leave()
        self.pipeline.set_state(Gst.State.NULL)
        if self.failed:
            raise SystemExit(self.failed)

    def offer_made(self, promise: Gst.Promise) -> None:
        # Held: what it gives lives no longer than it does.
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self.webrtc.emit("set-local-description", offer, Gst.Promise.new())

    def gathered(self, *_) -> None:
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        if self.webrtc.get_property("ice-gathering-state") == complete and not self.offered:
            self.offered = True
            threading.Thread(target=self.negotiate).start()

    def negotiate(self) -> None:
        try:
            sdp = self.webrtc.get_property("local-description").sdp.as_text()
            self.resource = Resource.offer(self.url, self.token, sdp)
            _, message = GstSdp.SDPMessage.new_from_text(self.resource.answer)
            answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
            self.webrtc.emit("set-remote-description", answer, Gst.Promise.new())
        except SystemExit as refused:
            self.fail(str(refused))

    def pad_added(self, _, pad: Gst.Pad) -> None:
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        video = pad.get_current_caps().get_structure(0).get_string("media") == "video"
        parts = "rtph264depay ! h264parse ! video/x-h264,alignment=au ! " if video else ""
        sink = Gst.parse_bin_from_description(f"{parts}fakesink name=sink sync=false signal-handoffs=true", True)
        if video:
            sink.get_by_name("sink").connect("handoff", self.frame)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def frame(self, _, buffer: Gst.Buffer, __) -> None:
        if buffer.has_flags(Gst.BufferFlags.DELTA_UNIT):
            self.deltas += 1
        else:
            self.keys += 1

    def tick(self) -> bool:
        self.seconds -= 1
        state = self.webrtc.get_property("connection-state").value_nick
        say(state=state, frames=self.keys + self.deltas, keys=self.keys)
        if self.seconds == 0:
            self.loop.quit()
        return self.seconds > 0

    def error(self, _, message: Gst.Message) -> None:
        self.fail(message.parse_error()[0].message)

    def fail(self, why: str) -> None:
        self.failed = why
        self.loop.quit()


if __name__ == "__main__":
    Gst.init(None)
    Player(sys.argv[1], sys.argv[2], int(sys.argv[3])).run()
