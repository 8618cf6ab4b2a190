//! How fast messages are scanned: `cargo run --release -p mime --example speed`.
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::time::Instant;

use mime::{Envelope, Limits, Scanner};

fn main() {
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let head = "Received: from a.example (a.example [192.0.2.1])\r\n\tby b.example with ESMTPS id 1;\r\n\tFri, 21 Nov 1997 09:55:06 -0600\r\n".repeat(4)
        + "From: Ada <ada@a.example>\r\nTo: Bob <bob@b.example>, Carol <carol@c.example>\r\nSubject: =?utf-8?q?=C3=A4?= report\r\n\
           Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <1@a.example>\r\nMIME-Version: 1.0\r\n";
    let multipart = |lines: usize| {
        format!(
            "{head}Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n\
             --=_b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n{}--=_b--\r\n",
            line.repeat(lines)
        )
    };
    let small = multipart(115);
    let plain = format!(
        "{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{}",
        line.repeat(115)
    );
    for (name, message) in [("multipart", &small), ("plain", &plain)] {
        let rounds = 20_000;
        let start = Instant::now();
        let mut written = 0;
        for _ in 0..rounds {
            let mut scanner = Scanner::new(Limits::default());
            message.as_bytes().chunks(4096).for_each(|chunk| scanner.push(chunk));
            let structure = scanner.finish();
            let envelope = Envelope::parse(&message.as_bytes()[..structure.root().body_start as usize]);
            let mut out = Vec::with_capacity(1024);
            structure.write_bodystructure(&mut out);
            envelope.write_imap(&mut out);
            written += out.len() + structure.encode().len();
        }
        let each = start.elapsed().as_secs_f64() / f64::from(rounds) * 1e6;
        println!(
            "{name} of {} bytes: {each:.1} µs for structure, envelope and both written ({written})",
            message.len()
        );
    }
    let big = multipart(1_000_000);
    let nasty = multipart(0).replace("Hello", &"--\r\n".repeat(10_000_000));
    for (name, message) in [("base64", &big), ("lines of two hyphens", &nasty)] {
        let start = Instant::now();
        let mut scanner = Scanner::new(Limits::default());
        message.as_bytes().chunks(65536).for_each(|chunk| scanner.push(chunk));
        let parts = scanner.finish().parts().len();
        let rate = message.len() as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("{name}: {rate:.0} MB/s ({parts} parts)");
    }
}
