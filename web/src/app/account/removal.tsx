// The end of one's own account: what goes, what stays, and the password to be sure. Afterwards nobody is logged in.

import { useState } from 'react';
import { removeAccount } from '../../api/accounts.js';
import { Problem } from '../../api/http.js';
import { endSession } from '../../api/session.js';
import { accountTexts } from '../../texts/account.js';
import { appTexts } from '../../texts/app.js';
import { Question } from '../dialog.js';
import { PasswordField } from '../field.js';
import { goWith } from '../go.js';
import { refusalWords } from '../status.js';
import { useForm, type Wrong } from '../use-form.js';
import { useChange } from './use-change.js';

const texts = accountTexts.removal;

export function RemovalSection({ username }: { username: string }) {
  const [asked, setAsked] = useState(false);
  return (
    <section className="panel section" aria-labelledby="removal">
      <h2 id="removal">{texts.title}</h2>
      <p>{texts.goes}</p>
      <p className="hint">{texts.stays}</p>
      <button type="button" className="button button-danger" onClick={() => setAsked(true)}>
        {texts.open}
      </button>
      {asked && (
        <Question title={texts.confirm} cancel={() => setAsked(false)}>
          <RemovalForm username={username} cancel={() => setAsked(false)} />
        </Question>
      )}
    </section>
  );
}

function RemovalForm({ username, cancel }: { username: string; cancel: () => void }) {
  const change = useChange<void>();
  const form = useForm<'password'>({
    fields: ['password'],
    check: ({ password }) => (password ? {} : { password: texts.passwordMissing }),
    send: ({ password }) =>
      change(async () => {
        await removeAccount(password);
        endSession();
        goWith('/', texts.removed, 'good');
      }),
    explain,
  });
  return (
    <form className="fields" {...form.element}>
      <p>
        {texts.goes} {texts.irrevocable}
      </p>
      <input type="text" autoComplete="username" value={username} readOnly hidden />
      <PasswordField
        label={texts.password}
        wrong={form.wrong.password}
        autoComplete="current-password"
      />
      <div className="dialog-actions">
        <p className="wrong" role="alert">
          {form.wrong.form}
        </p>
        <button className="button button-danger" type="submit" aria-disabled={form.busy}>
          {form.busy ? texts.submitting : texts.submit}
        </button>
        <button type="button" className="button button-plain" onClick={cancel}>
          {appTexts.cancel}
        </button>
      </div>
    </form>
  );
}

function explain(error: unknown): Wrong<'password'> {
  if (error instanceof Problem) {
    if (error.name === 'credentials-wrong') return { password: texts.passwordWrong };
    if (error.status === 409) return { form: texts.lastAdmin };
    if (error.field === 'password') return { password: error.message };
  }
  return { form: refusalWords(error, texts) };
}
