// A relay as pion's own example makes it: one shared track, default codecs and interceptors, a peer connection per viewer.
// Speaks the bench's protocol: a JSON object per line on standard input and output. Ends with its input.
package main

import (
	"bufio"
	"encoding/json"
	"net"
	"os"

	"github.com/pion/ice/v2"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc" // Debian keeps v3 here.
)

type request struct {
	Offer string `json:"offer"`
}

type reply struct {
	Ingest string `json:"ingest,omitempty"`
	Answer string `json:"answer,omitempty"`
	Error  string `json:"error,omitempty"`
}

func say(out *json.Encoder, message reply) {
	if err := out.Encode(message); err != nil {
		os.Exit(1)
	}
}

func newAPI() (*webrtc.API, error) {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	interceptors := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, interceptors); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	return webrtc.NewAPI(
		webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(interceptors),
		webrtc.WithSettingEngine(settings),
	), nil
}

func answer(api *webrtc.API, track webrtc.TrackLocal, offer string) (string, error) {
	peer, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return "", err
	}
	sender, err := peer.AddTrack(track)
	if err != nil {
		return "", err
	}
	go func() {
		buffer := make([]byte, 1500)
		for {
			if _, _, err := sender.Read(buffer); err != nil {
				return
			}
		}
	}()
	description := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}
	if err := peer.SetRemoteDescription(description); err != nil {
		return "", err
	}
	local, err := peer.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(peer)
	if err := peer.SetLocalDescription(local); err != nil {
		return "", err
	}
	<-gathered
	return peer.LocalDescription().SDP, nil
}

func main() {
	out := json.NewEncoder(os.Stdout)
	api, err := newAPI()
	if err != nil {
		say(out, reply{Error: err.Error()})
		return
	}
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType:    webrtc.MimeTypeH264,
		ClockRate:   90000,
		SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
	}, "video", "bench")
	if err != nil {
		say(out, reply{Error: err.Error()})
		return
	}
	ingest, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		say(out, reply{Error: err.Error()})
		return
	}
	_ = ingest.SetReadBuffer(4 << 20)
	go func() {
		buffer := make([]byte, 1600)
		for {
			length, _, err := ingest.ReadFromUDP(buffer)
			if err != nil {
				os.Exit(1)
			}
			_, _ = track.Write(buffer[:length])
		}
	}()
	say(out, reply{Ingest: ingest.LocalAddr().String()})
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	for in.Scan() {
		var asked request
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			say(out, reply{Error: err.Error()})
			continue
		}
		given, err := answer(api, track, asked.Offer)
		if err != nil {
			say(out, reply{Error: err.Error()})
			continue
		}
		say(out, reply{Answer: given})
	}
}
