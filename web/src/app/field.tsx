// A labelled field of a form, with what is wrong about it beneath.

import type { InputHTMLAttributes, ReactNode } from 'react';

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  name: string;
  label: string;
  wrong: string | undefined;
  children?: ReactNode;
}

export function Field({ name, label, wrong, children, ...input }: FieldProps) {
  return (
    <div className="field">
      <label htmlFor={name}>{label}</label>
      <input
        id={name}
        name={name}
        aria-invalid={Boolean(wrong)}
        aria-describedby={`${name}-wrong`}
        {...input}
      />
      <p className="wrong" id={`${name}-wrong`}>
        {wrong}
      </p>
      {children}
    </div>
  );
}
