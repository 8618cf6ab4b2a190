"""What other people's code says: pyspf of senders, dkimpy of signatures and ARC chains. JSON in, JSON out; the DNS is in it."""
import base64
import json
import sys

import dkim
import spf

asked = json.loads(sys.stdin.readline())
zone = {}
for name, kind, value in asked["zone"]:
    zone.setdefault(name.lower(), []).append((kind, value))


def lookup(name, kind, *_, **__):
    here = zone.get(name.lower().rstrip("."), [])
    if any(k == "DOWN" for k, _ in here):
        raise spf.TempError("nobody answers")
    found = []
    for k, value in here:
        if k == kind:
            if kind == "TXT":
                value = (value.encode(),)
            elif kind == "MX":
                value = (10, value)
            elif kind in ("A", "AAAA"):
                import ipaddress

                value = ipaddress.ip_address(value).packed if kind == "AAAA" else value
            found.append(((name, kind), value))
    return found


def reverse(name):
    labels = name.rstrip(".").split(".")
    if name.endswith("in-addr.arpa"):
        return ".".join(reversed(labels[:4]))
    return name


def dns_lookup(name, kind, *rest, **more):
    if kind == "PTR":
        return [((name, "PTR"), value) for k, value in zone.get(reverse(name), []) if k == "PTR"]
    return lookup(name, kind)


spf.DNSLookup = dns_lookup


def txt(name, timeout=5):
    name = name.decode() if isinstance(name, bytes) else name
    for k, value in zone.get(name.lower().rstrip("."), []):
        if k == "TXT":
            return value.encode()
    return None


def verify(message):
    signatures = message.lower().split(b"\r\n\r\n")[0].count(b"dkim-signature:")
    verdicts = []
    for index in range(signatures):
        try:
            verdicts.append(bool(dkim.DKIM(message, minkey=1024).verify(idx=index, dnsfunc=txt)))
        except dkim.DKIMException:
            verdicts.append(False)
    return verdicts


def chain(message):
    try:
        return dkim.ARC(message, minkey=1024).verify(dnsfunc=txt)[0].decode()
    except dkim.DKIMException:
        return "fail"


signed = []
for case in asked["sign"]:
    message = base64.b64decode(case["message"])
    header, body = case["canon"].split("/")
    field = dkim.sign(
        message,
        b"py",
        b"phys.example",
        asked["key"].encode(),
        canonicalize=(header.encode(), body.encode()),
        include_headers=[b"from", b"subject", b"to"],
        length=case["length"],
    )
    signed.append(base64.b64encode(field + message).decode())

answer = {
    "spf": [spf.check2(i=i, s=s, h=h, querytime=0)[0] for i, s, h in asked["spf"]],
    "dkim": [verify(base64.b64decode(m)) for m in asked["dkim"]],
    "arc": [chain(base64.b64decode(m)) for m in asked["arc"]],
    "signed": signed,
}
print(json.dumps(answer), flush=True)
