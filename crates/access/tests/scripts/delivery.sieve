require ["vacation", "imapsieve", "imap4flags"];
addflag "lost";
