// Log in, list, read, search, move, send: what Roundcube does all day. The test that starts this looks at the other end.
import { inBrowser, same, setting, until } from './browser.mjs';
import { Roundcube } from './roundcube.mjs';

await inBrowser(async (page) => {
  const roundcube = new Roundcube(page);
  const [user, password] = [setting('ACCOUNT'), setting('PASSWORD')];
  await roundcube.login(user, password);

  const subjects = await roundcube.subjects();
  for (const subject of JSON.parse(setting('SUBJECTS'))) {
    if (!subjects.includes(subject)) throw new Error(`"${subject}" is not in the list: ${JSON.stringify(subjects)}`);
  }

  const message = await roundcube.open(setting('READ'));
  await until('the text of the message', async () => (await message.locator('#messagebody').innerText()).includes(setting('TEXT')));

  await roundcube.search(setting('SEARCH'));
  same(JSON.stringify(await roundcube.subjects()), setting('FOUND'), 'what the search finds');

  await roundcube.mailbox('INBOX');
  await roundcube.move(setting('MOVE'), setting('INTO'));
  if ((await roundcube.subjects()).includes(setting('MOVE'))) throw new Error('the message that was moved is still there');
  await roundcube.mailbox(setting('INTO'));
  if (!(await roundcube.subjects()).includes(setting('MOVE'))) throw new Error('the message that was moved did not arrive');

  await roundcube.send(setting('TO'), setting('SUBJECT'), setting('BODY'));
  await roundcube.mailbox('Sent');
  if (!(await roundcube.subjects()).includes(setting('SUBJECT'))) throw new Error('the message that was sent is not in Sent');
  console.log('done');
});
