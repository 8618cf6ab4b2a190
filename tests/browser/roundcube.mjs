// Roundcube 1.6 (skin Elastic) as a person uses it.
import { setting, until } from './browser.mjs';

export class Roundcube {
  constructor(page) {
    this.page = page;
    this.url = setting('ROUNDCUBE');
  }

  /** Logs in and waits for the list of messages. */
  async login(user, password) {
    await this.page.goto(this.url);
    await this.page.fill('#rcmloginuser', user);
    await this.page.fill('#rcmloginpwd', password);
    await this.page.click('#rcmloginsubmit');
    await this.page.waitForSelector('#messagelist');
    await this.quiet();
  }

  /** Waits until nothing is under way. */
  async quiet() {
    await this.page.waitForFunction(() => window.rcmail && !window.rcmail.busy);
  }

  /** Goes to a task and action, such as `settings` and `plugin.managesieve`. */
  async go(task, action = '', more = '') {
    await this.page.goto(`${this.url}?_task=${task}&_action=${action}${more}`);
    await this.quiet();
  }

  /** Opens a mailbox. */
  async mailbox(name) {
    await this.go('mail', '', `&_mbox=${encodeURIComponent(name)}`);
    await this.page.waitForFunction((name) => window.rcmail.env.mailbox === name, name);
    await this.quiet();
  }

  /** The row of the message with this subject. */
  row(subject) {
    return this.page.locator('#messagelist tbody tr.message:visible', { hasText: subject });
  }

  /** The subjects in the list, top first. */
  async subjects() {
    await this.quiet();
    return this.page.locator('#messagelist tbody tr.message:visible td.subject span.subject a').allInnerTexts();
  }

  /** Opens a message; gives the frame or page that shows it. */
  async open(subject) {
    await this.row(subject).first().click();
    const frame = this.page.frameLocator('#messagecontframe');
    await frame.locator('#messagebody').waitFor();
    return frame;
  }

  /** Searches in the open mailbox. */
  async search(words) {
    await this.page.fill('#mailsearchform', words);
    const answered = this.page.waitForResponse((response) => response.url().includes('_action=search'));
    await this.page.press('#mailsearchform', 'Enter');
    await answered;
    await this.quiet();
  }

  /** Moves the message with this subject by the menu, as often as it takes: a list that is drawn anew forgets what was selected. */
  async move(subject, mailbox) {
    await this.row(subject).first().waitFor();
    await until('the message to be moved', async () => {
      await this.quiet();
      if ((await this.row(subject).count()) === 0) return true;
      const soon = { timeout: 5_000 };
      try {
        await this.row(subject).first().click(soon);
        await this.page.waitForFunction(() => window.rcmail.message_list.get_selection().length === 1 && window.rcmail.commands.move, null, soon);
        await this.page.click('#messagemenulink', soon);
        await this.page.click('#message-menu a.move', soon);
        const answered = this.page.waitForResponse((response) => response.url().includes('_action=move'), { timeout: 15_000 });
        answered.catch(() => {});
        await this.page.locator('#folder-selector li a', { hasText: mailbox }).first().click(soon);
        await answered;
        return true;
      } catch (error) {
        if (error.name !== 'TimeoutError') throw error;
        await this.page.keyboard.press('Escape');
        return false;
      }
    });
    await this.quiet();
  }

  /** Writes a message and sends it. */
  async send(to, subject, text) {
    await this.go('mail', 'compose');
    await this.page.waitForSelector('#compose-subject');
    const recipient = this.page.locator('#compose_to .recipient-input input, #compose_to input').first();
    await recipient.fill(to);
    await recipient.press('Enter');
    await this.page.fill('#compose-subject', subject);
    await this.page.fill('#composebody', text);
    await this.page.click('#toolbar-menu a.send, button.send, a.button.send');
    // It goes back to the list when the message was taken.
    await this.page.waitForSelector('#messagelist');
    await this.quiet();
  }
}
