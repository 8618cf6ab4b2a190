#!/usr/bin/env python3
"""Leaves open rows in the ledger: messages to recipients elsewhere, which are accepted and stay due.

    backlog.py HOST:PORT USER PASSWORD ROWS
"""
import smtplib, sys

host, port = sys.argv[1].rsplit(":", 1)
user, password, rows = sys.argv[2], sys.argv[3], int(sys.argv[4])
EACH = 1000
with smtplib.SMTP(host, int(port)) as server:
    server.login(user, password)
    for n in range(rows // EACH):
        to = ["r%d@elsewhere.example" % (n * EACH + i) for i in range(EACH)]
        refused = server.sendmail(user, to, "From: %s\r\nSubject: backlog %d\r\n\r\nwaiting\r\n" % (user, n))
        assert not refused
print(rows // EACH * EACH)
