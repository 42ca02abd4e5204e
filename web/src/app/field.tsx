// A labelled field of a form, with what is wrong about it beneath; and the button that sends the form.

import { useState, type InputHTMLAttributes, type ReactNode } from 'react';
import { appTexts } from '../texts/app.js';

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  name: string;
  label: string;
  wrong: string | undefined;
  /** What is expected, told before anything is wrong. */
  hint?: string;
  children?: ReactNode;
}

export function Field({ name, label, wrong, hint, children, ...input }: FieldProps) {
  const described = hint === undefined ? `${name}-wrong` : `${name}-wrong ${name}-hint`;
  return (
    <div className="field">
      <label htmlFor={name}>{label}</label>
      <input
        id={name}
        name={name}
        aria-invalid={Boolean(wrong)}
        aria-describedby={described}
        {...input}
      />
      <p className="wrong" id={`${name}-wrong`}>
        {wrong}
      </p>
      {hint !== undefined && (
        <p className="hint" id={`${name}-hint`}>
          {hint}
        </p>
      )}
      {children}
    </div>
  );
}

interface UserNameFieldProps {
  label: string;
  wrong: string | undefined;
}

export function UserNameField(props: UserNameFieldProps) {
  return (
    <Field
      name="username"
      {...props}
      autoComplete="username"
      autoCapitalize="none"
      spellCheck={false}
      maxLength={64}
    />
  );
}

interface PasswordFieldProps {
  name?: string;
  label: string;
  wrong: string | undefined;
  hint?: string;
  /** Whether password managers should offer the one they know, or a new one. */
  autoComplete: 'current-password' | 'new-password';
}

/** A password, which can be looked at. */
export function PasswordField(props: PasswordFieldProps) {
  const [shown, setShown] = useState(false);
  return (
    <PasswordInput {...props} shown={shown}>
      <ShowPassword shown={shown} show={setShown} words={appTexts.showPassword} />
    </PasswordInput>
  );
}

interface PasswordInputProps extends PasswordFieldProps {
  shown: boolean;
  children?: ReactNode;
}

/** A password among several that are shown together. */
export function PasswordInput({ name = 'password', shown, ...props }: PasswordInputProps) {
  return <Field name={name} type={shown ? 'text' : 'password'} {...props} />;
}

interface ShowPasswordProps {
  shown: boolean;
  show: (shown: boolean) => void;
  words: string;
}

export function ShowPassword({ shown, show, words }: ShowPasswordProps) {
  return (
    <label className="check">
      <input type="checkbox" checked={shown} onChange={() => show(!shown)} />
      {words}
    </label>
  );
}

interface SubmitProps {
  wrong: string | undefined;
  busy: boolean;
  words: string;
  busyWords: string;
  children?: ReactNode;
}

/** What is wrong with the whole form, and its button; it can be pressed once. */
export function Submit({ wrong, busy, words, busyWords, children }: SubmitProps) {
  return (
    <>
      <p className="wrong" role="alert">
        {wrong}
      </p>
      <button className="button button-main" type="submit" aria-disabled={busy}>
        {busy ? busyWords : words}
      </button>
      {children}
    </>
  );
}
