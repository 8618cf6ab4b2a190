"""An authority's front that says when certificates are to be renewed (RFC 9773), which Pebble in Debian 12 does not.

Everything else is Pebble's own: the requests go on to it as they came, host name and all. The first certificate that is asked about was to be renewed
an hour ago, further ones in a year. What was asked, and what an order says that it replaces, is written down.

    renewal_info.py PORT PEBBLE-PORT FOLDER
"""

import base64
import datetime
import http.client
import http.server
import json
import ssl
import sys

PORT, PEBBLE, FOLDER = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
upstream = ssl.create_default_context(cafile=f"{FOLDER}/root.pem")
asked = []


def note(line):
    with open(f"{FOLDER}/renewal-info.log", "a") as log:
        log.write(line + "\n")


def window(certificate):
    if certificate not in asked:
        asked.append(certificate)
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    start = now + (datetime.timedelta(hours=-2) if asked[0] == certificate else datetime.timedelta(days=365))
    text = lambda moment: moment.isoformat().replace("+00:00", "Z")
    return {"suggestedWindow": {"start": text(start), "end": text(start + datetime.timedelta(hours=1))}}


class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def give(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/renewal-info/"):
            certificate = self.path.rsplit("/", 1)[1]
            note("asked " + certificate)
            answer = json.dumps(window(certificate)).encode()
            return self.give(200, [("Content-Type", "application/json"), ("Retry-After", "21600")], answer)
        connection = http.client.HTTPSConnection("localhost", PEBBLE, context=upstream, timeout=30)
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        answer = response.read()
        if self.path == "/dir":
            directory = json.loads(answer)
            directory["renewalInfo"] = f"https://localhost:{PORT}/renewal-info"
            answer = json.dumps(directory).encode()
        if self.path == "/order-plz" and response.status == 201:
            payload = json.loads(body)["payload"]
            order = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            note("order replaces " + str(order.get("replaces")))
            if "replaces" in order:
                answer = json.dumps(json.loads(answer) | {"replaces": order["replaces"]}).encode()
        self.give(response.status, response.getheaders(), answer)

    do_GET = do_POST = do_HEAD = handle_any


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Front)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{FOLDER}/cert.pem", f"{FOLDER}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
