// Roundcube's filters: makes a forward, a vacation with dates and a filter, or tells what it shows of them (PHASE).
import { inBrowser, same, setting, until } from './browser.mjs';
import { Roundcube } from './roundcube.mjs';

/** Presses the button that saves, and waits until Roundcube says that it has. */
async function save(page, roundcube) {
  await page.waitForFunction(() => window.rcmail.commands['plugin.managesieve-save']);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => ours(response.request())),
    page.click('.formbuttons button.submit'),
  ]);
  // What the page is to do is a script in the answer.
  const { exec } = await answer.json();
  if (!exec.includes('"confirmation"')) throw new Error(`not saved: ${exec}`);
  await roundcube.quiet();
}

/** Whether a form of the plugin is sent, rather than a question whether there is new mail. */
function ours(request) {
  return request.method() === 'POST' && `${request.url()}&${request.postData()}`.includes('plugin.managesieve');
}

/** Types a date, and leaves the calendar that opens over the form. */
async function date(page, field, day) {
  await page.fill(field, day);
  await page.press(field, 'Tab');
  await page.locator('#ui-datepicker-div').waitFor({ state: 'hidden' });
  same(await page.inputValue(field), day, field);
}

async function make(page, roundcube) {
  await roundcube.go('settings', 'plugin.managesieve-forward');
  await page.selectOption('#forward_action', 'copy');
  await page.fill('#action_target', setting('FORWARD'));
  await page.selectOption('#forward_status', 'on');
  await save(page, roundcube);

  await roundcube.go('settings', 'plugin.managesieve-vacation');
  await page.fill('#vacation_subject', setting('SUBJECT'));
  await page.fill('#vacation_reason', setting('TEXT'));
  await date(page, '#vacation_datefrom', setting('FROM'));
  await date(page, '#vacation_dateto', setting('UNTIL'));
  await page.selectOption('#vacation_status', 'on');
  await save(page, roundcube);

  await roundcube.go('settings', 'plugin.managesieve');
  await page.click('a.create:not(.disabled)');
  const form = page.frameLocator('#filter-box');
  await form.locator('#_name').fill(setting('FILTER'));
  await form.locator('select[name^="_header"]').first().selectOption('subject');
  await form.locator('.rulerow').first().locator('input[type="text"]:visible').first().fill(setting('WORD'));
  await form.locator('select[name^="_action_type"]').first().selectOption('fileinto');
  await form.locator('select[name^="_action_mailbox"]').first().selectOption(setting('MAILBOX'));
  await form.locator('button.submit').click();
  await until('the filter to be in the list', async () => (await filters(page)).includes(setting('FILTER')));
}

async function filters(page) {
  return page.locator('#filterslist tbody td.name').allInnerTexts();
}

async function show(page, roundcube) {
  await roundcube.go('settings', 'plugin.managesieve-forward');
  const forward = await page.inputValue('#action_target');
  await roundcube.go('settings', 'plugin.managesieve-vacation');
  const vacation = {
    subject: await page.inputValue('#vacation_subject'),
    text: await page.inputValue('#vacation_reason'),
    from: await page.inputValue('#vacation_datefrom'),
    until: await page.inputValue('#vacation_dateto'),
    status: await page.inputValue('#vacation_status'),
  };
  await roundcube.go('settings', 'plugin.managesieve');
  const names = await filters(page);
  // What is inside the filter, as its form shows it.
  await page.waitForFunction(() => window.rcmail.filters_list);
  await page.locator('#filterslist tbody td.name', { hasText: setting('FILTER') }).click();
  const form = page.frameLocator('#filter-box');
  await form.locator('#_name').waitFor();
  const filter = {
    enabled: await form.locator('#fenabled').isChecked(),
    header: await form.locator('select[name^="_header"]').first().inputValue(),
    word: await form.locator('.rulerow').first().locator('input[type="text"]:visible').first().inputValue(),
    action: await form.locator('select[name^="_action_type"]').first().inputValue(),
    mailbox: await form.locator('select[name^="_action_mailbox"]').first().inputValue(),
  };
  console.log(JSON.stringify({ forward, vacation, names, filter }));
}

await inBrowser(async (page) => {
  const roundcube = new Roundcube(page);
  await roundcube.login(setting('ACCOUNT'), setting('PASSWORD'));
  await (setting('PHASE') === 'make' ? make : show)(page, roundcube);
});
