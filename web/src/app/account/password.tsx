// A new password for one's own account. It ends every login; one stays logged in here, by the new password.

import { useState } from 'react';
import { changePassword, logIn, PASSWORD_CHARS_MIN } from '../../api/accounts.js';
import { Problem } from '../../api/http.js';
import { endSession, startSession, type Session } from '../../api/session.js';
import { loginAddress } from '../../navigation.js';
import { notify } from '../../notices.js';
import { accountTexts } from '../../texts/account.js';
import { appTexts } from '../../texts/app.js';
import { PasswordInput, ShowPassword, Submit } from '../field.js';
import { goWith } from '../go.js';
import { wrongPassword } from '../password-rule.js';
import { refusalWords } from '../status.js';
import { useForm, type Wrong } from '../use-form.js';
import { useChange } from './use-change.js';

const texts = accountTexts.password;

type Name = 'current' | 'new';

export function PasswordSection({ username }: { username: string }) {
  const [shown, setShown] = useState(false);
  const change = useChange<Session | undefined>();
  const form = useForm<Name>({
    fields: ['current', 'new'],
    check,
    send: async ({ current, new: next }) => {
      const session = await change(async () => {
        await changePassword(current, next);
        const renewed = await logIn(username, next).catch(() => undefined);
        if (renewed) startSession(renewed);
        else endSession();
        return renewed;
      });
      if (!session) return goWith(loginAddress('/account'), texts.changedOnly, 'good');
      form.reset();
      setShown(false);
      notify(texts.changed, 'good');
    },
    explain,
  });
  return (
    <section className="panel" aria-labelledby="change-password">
      <form className="section" {...form.element}>
        <h2 id="change-password">{texts.title}</h2>
        <p className="hint">
          {texts.lead} {texts.devices}
        </p>
        {/* For password managers: whose password it is. */}
        <input type="text" autoComplete="username" value={username} readOnly hidden />
        <PasswordInput
          shown={shown}
          name="current"
          label={texts.current}
          wrong={form.wrong.current}
          autoComplete="current-password"
        />
        <PasswordInput
          shown={shown}
          name="new"
          label={texts.next}
          wrong={form.wrong.new}
          hint={appTexts.passwordHint(PASSWORD_CHARS_MIN)}
          autoComplete="new-password"
        />
        <ShowPassword shown={shown} show={setShown} words={appTexts.showPasswords} />
        <Submit
          wrong={form.wrong.form}
          busy={form.busy}
          words={texts.submit}
          busyWords={texts.submitting}
        />
      </form>
    </section>
  );
}

function check({ current, new: next }: Record<Name, string>): Wrong<Name> {
  const wrong =
    current !== '' && current === next ? texts.same : wrongPassword(next, texts.nextMissing);
  return {
    ...(current ? {} : { current: texts.currentMissing }),
    ...(wrong === undefined ? {} : { new: wrong }),
  };
}

function explain(error: unknown): Wrong<Name> {
  if (error instanceof Problem) {
    const { field, message: words, name } = error;
    if (name === 'credentials-wrong') return { current: texts.currentWrong };
    if (field === 'current' || field === 'new') return { [field]: words };
  }
  return { form: refusalWords(error, texts) };
}
