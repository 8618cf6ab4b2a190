"""Reads reports with Python's own parser and tells what it sees: one file name a line in, one JSON object a line out."""
import email, email.policy, json, sys

def fields(message):
    return [[name, str(value)] for name, value in message.items()]

for name in sys.stdin.read().split():
    raw = open(name, 'rb').read()
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    text, status, returned = message.get_payload()
    defects = [str(d) for part in message.walk() for d in part.defects]
    if status.get_content_type() == 'message/delivery-status':
        groups = [fields(group) for group in status.get_payload()]
    else:
        # Unknown to Python: the same by hand.
        body = status.get_payload(decode=True)
        body = body if body else status.get_payload()[0].as_bytes(policy=email.policy.SMTP)
        groups = [[line.split(': ', 1) for line in group.replace('\r\n ', ' ').split('\r\n') if line]
                  for group in body.decode().split('\r\n\r\n') if group]
    if returned.get_content_type() in ('message/rfc822', 'message/global'):
        inner = returned.get_payload()[0]
        back = inner['Subject'] and str(inner['Subject'])
    else:
        back = returned.get_payload(decode=True).decode('utf-8', 'surrogateescape').encode('ascii', 'backslashreplace').decode()
    print(json.dumps({
        'type': message.get_content_type(), 'report': message.get_param('report-type'),
        'subject': str(message['Subject']), 'to': str(message['To']), 'automatic': message['Auto-Submitted'],
        'reply': message['In-Reply-To'],
        'text': text.get_content(), 'text-type': text.get_content_type(),
        'status-type': status.get_content_type(), 'groups': groups,
        'returned-type': returned.get_content_type(), 'returned': back, 'defects': defects,
        'eight': any(b >= 128 for b in raw), 'longest': max(len(line) for line in raw.split(b'\r\n')),
        'bare': raw.replace(b'\r\n', b'').count(b'\n') + raw.replace(b'\r\n', b'').count(b'\r'),
    }))
