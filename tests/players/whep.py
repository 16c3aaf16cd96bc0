"""The HTTP half of WHEP (RFC 9725 names its sibling), and how a player reports: a line of JSON every second."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request


class Resource:
    """An offer that was answered."""

    def __init__(self, location: str, token: str, answer: str) -> None:
        self.location = location
        self.token = token
        self.answer = answer

    @classmethod
    def offer(cls, url: str, token: str, sdp: str) -> "Resource":
        headers = {"authorization": f"Bearer {token}", "content-type": "application/sdp"}
        while True:
            request = urllib.request.Request(url, sdp.encode(), headers, method="POST")
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    location = urllib.parse.urljoin(url, response.headers["location"])
                    return cls(location, token, response.read().decode())
            except urllib.error.HTTPError as refused:
                # 409: the game is still starting.
                if refused.code != 409:
                    raise SystemExit(f"{refused.code}: {refused.read().decode()}") from refused
                time.sleep(int(refused.headers.get("retry-after", "1")))

    def leave(self) -> None:
        headers = {"authorization": f"Bearer {self.token}"}
        urllib.request.urlopen(urllib.request.Request(self.location, headers=headers, method="DELETE"), timeout=30)


def say(**figures: object) -> None:
    print(json.dumps(figures), flush=True)
